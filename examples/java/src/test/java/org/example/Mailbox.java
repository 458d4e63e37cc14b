package org.example;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/** A mailbox of the developers' mode; {@code api} is the base URL of its API. */
public record Mailbox(String api, String address) {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** The first message whose subject contains a text; it may have arrived already. */
    public JsonNode await(String subject, Duration timeout) throws IOException, InterruptedException {
        String query = "?subject=" + URLEncoder.encode(subject, StandardCharsets.UTF_8) + "&timeout=" + timeout.toSeconds();
        HttpRequest request = HttpRequest.newBuilder(URI.create(api + "/api/wait" + query))
                .header("Authorization", "Bearer " + address)
                .build();
        HttpResponse<String> response = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) {
            throw new AssertionError("no message: " + response.statusCode());
        }
        return JSON.readTree(response.body());
    }
}
