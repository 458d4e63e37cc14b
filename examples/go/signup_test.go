package signup

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/smtp"
	"os"
	"testing"
	"time"
)

// signUp is the program under test.
func signUp(server, address string) error {
	text := "From: shop@example.org\r\nTo: " + address + "\r\nSubject: Confirm your address\r\n\r\n" +
		"Your code is 482913: https://shop.example.org/confirm?code=482913\r\n"
	return smtp.SendMail(server, nil, "shop@example.org", []string{address}, []byte(text))
}

func TestSignUpMailsACode(t *testing.T) {
	host := os.Getenv("RELATE_HOST")
	if host == "" {
		t.Skip("RELATE_HOST names no server")
	}
	random := make([]byte, 5)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	alice := Mailbox{
		API:     "http://" + net.JoinHostPort(host, os.Getenv("RELATE_API_PORT")),
		Address: "alice+" + hex.EncodeToString(random) + "@example.test", // a namespace of this test
	}
	if err := signUp(net.JoinHostPort(host, os.Getenv("RELATE_SMTP_PORT")), alice.Address); err != nil {
		t.Fatal(err)
	}
	message, err := alice.Wait("confirm", 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if len(message.Codes) != 1 || message.Codes[0] != "482913" {
		t.Errorf("codes: %q", message.Codes)
	}
	if len(message.Links) != 1 || message.Links[0] != "https://shop.example.org/confirm?code=482913" {
		t.Errorf("links: %q", message.Links)
	}
}
