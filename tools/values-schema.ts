/**
 * The chart's values.schema.json, from values.yaml: what is there by default gives the type, an unknown key is an
 * error. Printed to standard output.
 */
import { readFileSync } from 'node:fs'
import { isMap, isScalar, isSeq, parseDocument, type Node, type Pair } from 'yaml'

type Schema = Record<string, unknown>

/** Values that are one of a few. */
const closed: Readonly<Record<string, Schema>> = {
  durability: { enum: ['auto', 'local', 'bucket'] },
  tenancy: { enum: ['on', 'off', true, false] },
  'image.pullPolicy': { enum: ['IfNotPresent', 'Always', 'Never'] },
  'server.service.type': { enum: ['ClusterIP', 'NodePort', 'LoadBalancer'] },
  retention: { type: 'string', pattern: '^[0-9]+(h|d|w|y)$' },
  logsRetention: { type: 'string', pattern: '^([0-9]+(h|d|w|y))?$' },
  tracesRetention: { type: 'string', pattern: '^([0-9]+(h|d|w|y))?$' },
  'scrape.interval': { type: 'string', pattern: '^[0-9]+(s|m|h)$' },
  'scrape.timeout': { type: 'string', pattern: '^[0-9]+(s|m|h)$' },
  'server.replicas': { type: 'integer', minimum: 0 },
  'server.service.port': { type: 'integer', minimum: 1, maximum: 65535 },
}
/** Maps whose keys are Kubernetes' own. */
const open = /(^|\.)(resources|requests|limits)$/

/** Comments above a key, without those of a section before it. */
function commentOf(pair: Pair<Node, Node | null>, inherited: string | null | undefined): string {
  return (pair.key.commentBefore ?? inherited ?? '')
    .split('\n\n')
    .at(-1)!
    .split('\n')
    .map(line => line.trim())
    .join(' ')
}

function schemaOf(node: Node | null, path: string): Schema {
  const own = closed[path]
  if (own !== undefined) return own
  if (isMap(node)) {
    if (node.items.length === 0) return { type: 'object' }
    const properties: Record<string, Schema> = {}
    for (const [i, pair] of (node.items as Pair<Node, Node | null>[]).entries()) {
      const name = String((pair.key as unknown as { value: unknown }).value),
        child = path === '' ? name : `${path}.${name}`
      const description = commentOf(pair, i === 0 ? node.commentBefore : undefined)
      properties[name] = { ...(description === '' ? {} : { description }), ...schemaOf(pair.value, child) }
    }
    return { type: 'object', properties, ...(open.test(path) ? {} : { additionalProperties: false }) }
  }
  if (isSeq(node)) return { type: 'array' }
  if (isScalar(node))
    return { type: typeof node.value === 'boolean' ? 'boolean' : typeof node.value === 'number' ? 'integer' : 'string' }
  throw new Error(`${path}: no default`)
}

export function valuesSchema(values: string): Schema {
  const schema = schemaOf(parseDocument(values).contents, '') as { properties: Record<string, Schema> }
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the chart tercet',
    ...schema,
    properties: { ...schema.properties, global: { type: 'object', description: 'Of the umbrella chart.' } },
  }
}

if (import.meta.main)
  process.stdout.write(`${JSON.stringify(valuesSchema(readFileSync('deploy/chart/values.yaml', 'utf8')), null, 2)}\n`)
