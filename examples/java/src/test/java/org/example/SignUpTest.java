package org.example;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import jakarta.mail.Message;
import jakarta.mail.MessagingException;
import jakarta.mail.Session;
import jakarta.mail.Transport;
import jakarta.mail.internet.InternetAddress;
import jakarta.mail.internet.MimeMessage;
import java.time.Duration;
import java.util.Properties;
import java.util.UUID;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class SignUpTest {
    private static RelateContainer container;
    private static String host;
    private static int smtpPort;
    private static String api;

    /** The server that RELATE_HOST names, else a container. */
    @BeforeAll
    static void start() {
        host = System.getenv("RELATE_HOST");
        if (host != null) {
            smtpPort = Integer.parseInt(System.getenv("RELATE_SMTP_PORT"));
            api = "http://" + host + ":" + System.getenv("RELATE_API_PORT");
            return;
        }
        container = new RelateContainer();
        container.start();
        host = container.getHost();
        smtpPort = container.smtpPort();
        api = container.apiUrl();
    }

    @AfterAll
    static void stop() {
        if (container != null) {
            container.stop();
        }
    }

    @Test
    void signUpMailsACode() throws Exception {
        String namespace = UUID.randomUUID().toString().substring(0, 8); // of this test
        Mailbox alice = new Mailbox(api, "alice+" + namespace + "@example.test");
        signUp(alice.address());
        JsonNode message = alice.await("confirm", Duration.ofSeconds(10));
        assertEquals("482913", message.get("codes").get(0).asText());
        assertEquals("https://shop.example.org/confirm?code=482913", message.get("links").get(0).asText());
    }

    /** The program under test. */
    private static void signUp(String address) throws MessagingException {
        Properties properties = new Properties();
        properties.put("mail.smtp.host", host);
        properties.put("mail.smtp.port", Integer.toString(smtpPort));
        MimeMessage message = new MimeMessage(Session.getInstance(properties));
        message.setFrom("shop@example.org");
        message.setRecipient(Message.RecipientType.TO, new InternetAddress(address));
        message.setSubject("Confirm your address");
        message.setText("Your code is 482913: https://shop.example.org/confirm?code=482913");
        Transport.send(message);
    }
}
