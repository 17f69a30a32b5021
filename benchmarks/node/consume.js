// Node's amqplib with ajv, one acknowledgement a message.
import { readFileSync } from 'node:fs'
import amqp from 'amqplib'
import Ajv from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

const [url, queue, count, , schema, prefetch] = process.argv.slice(2)
const ajv = new Ajv({ strict: false })
addFormats(ajv)
const isValid = ajv.compile(JSON.parse(readFileSync(schema)))

const connection = await amqp.connect(url)
const channel = await connection.createChannel()
await channel.prefetch(Number(prefetch))
const started = performance.now()
let received = 0
await channel.consume(queue, async (message) => {
  if (!isValid(JSON.parse(message.content))) throw new Error('an invalid event')
  channel.ack(message)
  if (++received === Number(count)) {
    await channel.close()
    console.log(JSON.stringify({ rate: received / (performance.now() - started) * 1000 }))
    await connection.close()
  }
})
