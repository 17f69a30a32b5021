// Publishes download events: npm install amqplib; node publish_events.js amqp://USER:PASSWORD@HOST/
const amqp = require("amqplib");
const { randomUUID } = require("node:crypto");

async function main(url) {
  const connection = await amqp.connect(url);
  // A confirm channel: waitForConfirms() returns once the broker has every event on its disk.
  const channel = await connection.createConfirmChannel();
  // A message that no queue is bound for comes back, and would be lost otherwise.
  channel.on("return", (message) => {
    console.error(`no queue takes ${message.properties.messageId}`);
    process.exitCode = 1;
  });
  for (const [size, speed] of [[1725024, 35.6], [88200, 4.1]]) {
    const event = {
      event_id: randomUUID(), // the same one when the event is sent again: it is stored once
      timestamp: new Date().toISOString(),
      coordinates: { latitude: 53.35, longitude: -6.26 },
      file_size: size, // bytes
      download_speed: speed, // megabits per second
    };
    channel.publish("dlmon", "download.completed", Buffer.from(JSON.stringify(event)), {
      persistent: true,
      mandatory: true,
      messageId: event.event_id,
      contentType: "application/json",
      headers: { "dlmon-published-at": Date.now() }, // consume measures the delay by it
    });
  }
  await channel.waitForConfirms(); // rejects when the broker refuses one: send all of them again
  await connection.close();
}

main(process.argv[2]).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
