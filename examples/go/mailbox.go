// Package signup is a program that sends mail, and its test, which waits for it.
package signup

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Mailbox is a mailbox of Relate Mail's developers' mode; API is the base URL of its API.
type Mailbox struct {
	API     string
	Address string
}

// Message is the part of a message that tests look at.
type Message struct {
	ID      string   `json:"id"`
	Subject string   `json:"subject"`
	Text    string   `json:"textBody"`
	Links   []string `json:"links"`
	Codes   []string `json:"codes"`
}

// Wait returns the first message whose subject contains a text. It may have arrived already.
func (m Mailbox) Wait(subject string, timeout time.Duration) (Message, error) {
	query := url.Values{"subject": {subject}, "timeout": {fmt.Sprint(timeout.Seconds())}}
	request, err := http.NewRequest(http.MethodGet, m.API+"/api/wait?"+query.Encode(), nil)
	if err != nil {
		return Message{}, err
	}
	request.Header.Set("Authorization", "Bearer "+m.Address)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return Message{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return Message{}, fmt.Errorf("no message: %s", response.Status)
	}
	var message Message
	err = json.NewDecoder(response.Body).Decode(&message)
	return message, err
}
