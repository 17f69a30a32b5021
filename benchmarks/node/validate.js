// ajv over the lines of a file: how many are invalid.
import { createReadStream, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import Ajv from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

const [schema, ...rest] = process.argv.slice(2)
const events = rest.pop()
const ajv = new Ajv({ strict: false, allErrors: rest.includes('--all') })
addFormats(ajv)
const isValid = ajv.compile(JSON.parse(readFileSync(schema)))

let invalid = 0
for await (const line of createInterface({ input: createReadStream(events) })) {
  if (!isValid(JSON.parse(line))) invalid += 1
}
console.log(invalid)
