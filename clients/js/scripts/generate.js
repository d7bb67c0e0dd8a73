// Writes src/schema.js from the contract in ../../schema: `npm run generate`. With --print it goes to standard output.
import { readFile, writeFile } from 'node:fs/promises'
import { parse } from 'yaml'

const schema = new URL('../../../schema/', import.meta.url)
const read = async (name) => readFile(new URL(name, schema), 'utf8')

const frames = {
  hello: 'HelloFrame', ack: 'AckFrame', auth: 'AuthFrame', pong: 'PongFrame', bye: 'ByeFrame',
  subscribe: 'SubscribeFrame', unsubscribe: 'UnsubscribeFrame',
  welcome: 'WelcomeFrame', outcome: 'OutcomeFrame', event: 'EventFrame', lag: 'LagFrame', ping: 'PingFrame',
  drain: 'DrainFrame', error: 'ErrorFrame',
}
const bodies = ['Accepted', 'Item', 'Problem']

export async function generate() {
  const async = parse(await read('asyncapi.yaml'))
  const open = parse(await read('openapi.yaml'))
  const parts = [
    '// Made by `npm run generate` from schema/asyncapi.yaml, schema/openapi.yaml and schema/push. Do not edit.\n',
    constants(await read('push/codes.go')),
    typedef('Response', async.components.schemas.response, { id: async.components.schemas.id }),
    typedef('Reason', async.components.schemas.reason),
  ]
  for (const [name, type] of Object.entries(frames)) {
    parts.push(typedef(type, async.components.messages[name].payload, async.components.schemas, async.components.messages[name].summary))
  }
  const side = (operation) => async.operations[operation].messages.map((m) => frames[m.$ref.split('/').pop()])
  parts.push(`/** What a client sends.\n * @typedef {${side('hearClient').join(' | ')}} ClientFrame */`)
  parts.push(`/** What the platform sends.\n * @typedef {${side('tellClient').join(' | ')}} ServerFrame */`)
  for (const name of bodies) parts.push(typedef(name, open.components.schemas[name], open.components.schemas))
  return parts.join('\n\n') + '\n'
}

// constants reads the Go constants of the subprotocol and the close codes.
function constants(source) {
  const subprotocol = source.match(/const Subprotocol = ("[^"]+")/)[1].replaceAll('"', "'")
  const codes = [...source.matchAll(/^\t(\w+)\s+CloseCode = (\d{4})$/gm)]
  if (codes.length < 10) throw new Error('schema/push/codes.go has another shape than this script knows')
  const lines = codes.map(([, name, code]) => `  ${name[0].toLowerCase()}${name.slice(1)}: ${code},`)
  return `/** The name that both sides of a WebSocket agree on. */\nexport const SUBPROTOCOL = ${subprotocol}\n\n` +
    `/** The close codes; their hundred tells what to do. */\nexport const CLOSE_CODES = /** @type {const} */ ({\n${lines.join('\n')}\n})`
}

function typedef(name, schema, schemas = {}, summary = schema.description ?? '') {
  const words = summary.trim().replace(/\s+/g, ' ')
  return `/**${words ? ` ${words}\n *` : ''} @typedef {${typeOf(schema, schemas)}} ${name} */`
}

// named are the schemas that have a typedef of their own; all others are written out.
const named = { response: 'Response', Response: 'Response', Item: 'Item', Problem: 'Problem', reason: 'Reason' }

function typeOf(schema, schemas) {
  if (schema.$ref) {
    const name = schema.$ref.split('/').pop()
    return named[name] ?? typeOf(schemas[name], schemas)
  }
  if ('const' in schema) return quote(schema.const)
  if (schema.enum) return schema.enum.map(quote).join(' | ')
  if (schema.oneOf) return schema.oneOf.map((one) => typeOf(one, schemas)).join(' | ')
  if (Array.isArray(schema.type)) return [...new Set(schema.type.map((type) => typeOf({ type }, schemas)))].join(' | ')
  return plainType(schema, schemas) + (schema.nullable && schema.type ? ' | null' : '')
}

function plainType(schema, schemas) {
  switch (schema.type) {
    case 'object': return schema.properties ? members(schema, schemas) : 'object'
    case 'array': return `Array<${typeOf(schema.items, schemas)}>`
    case 'integer': case 'number': return 'number'
    case 'string': case 'boolean': case 'null': return schema.type
    default: return 'unknown'
  }
}

function members(schema, schemas) {
  const required = new Set(schema.required)
  const all = Object.entries(schema.properties).map(([name, of]) => `${name}${required.has(name) ? '' : '?'}: ${typeOf(of, schemas)}`)
  return `{${all.join(', ')}}`
}

const quote = (value) => typeof value === 'string' ? `'${value}'` : String(value)

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const made = await generate()
  if (process.argv.includes('--print')) process.stdout.write(made)
  else {
    // The console carries a copy of the client, which `go generate ./console` makes of all files.
    const copy = new URL('../../../console/assets/vendor/client/schema.js', import.meta.url)
    for (const place of [new URL('../src/schema.js', import.meta.url), copy]) await writeFile(place, made)
  }
}
