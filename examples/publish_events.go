// Publishes download events: go run publish_events.go amqp://USER:PASSWORD@HOST/
package main

import (
	"encoding/json"
	"log"
	"os"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	connection, err := amqp.Dial(os.Args[1])
	check(err)
	channel, err := connection.Channel()
	check(err)
	check(channel.Confirm(false)) // the broker confirms what it has on its disk
	returned := channel.NotifyReturn(make(chan amqp.Return, 1))
	id := uuid.NewString() // the same one when the event is sent again: it is stored once
	body, err := json.Marshal(map[string]any{
		"event_id": id, "timestamp": time.Now().UTC(), "file_size": 1725024, "download_speed": 35.6,
		"coordinates": map[string]float64{"latitude": 53.35, "longitude": -6.26}})
	check(err)
	confirm, err := channel.PublishWithDeferredConfirm("dlmon", "download.completed", true, false, amqp.Publishing{
		DeliveryMode: amqp.Persistent, MessageId: id, ContentType: "application/json", Body: body,
		Headers: amqp.Table{"dlmon-published-at": time.Now().UnixMilli()}})
	check(err)
	if !confirm.Wait() || len(returned) > 0 { // refused, or no queue is bound: send it again
		log.Fatalf("%s was not taken", id)
	}
	check(connection.Close())
}
