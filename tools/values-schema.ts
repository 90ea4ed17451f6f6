/**
 * The chart's values.schema.json, from values.yaml: what is there by default gives the type, an unknown key is an
 * error. Printed to standard output.
 */
import { readFileSync } from 'node:fs'
import { tlsListeners } from '../src/app/tls-listeners.ts'
import { isMap, isScalar, isSeq, parseDocument, type Node, type Pair } from 'yaml'

type Schema = Record<string, unknown>

const text: Schema = { type: 'string' }
const texts: Schema = { type: 'array', items: text }
const objects: Schema = { type: 'array', items: { type: 'object' } }
const port: Schema = { type: 'integer', minimum: 1, maximum: 65535 }
const retention: Schema = { type: 'string', pattern: '^[0-9]+(h|d|w|y)$' }
const optionalRetention: Schema = { type: 'string', pattern: '^([0-9]+(h|d|w|y))?$' }
const scrapeDuration: Schema = { type: 'string', pattern: '^[0-9]+(s|m|h)$' }

const aliasService: Schema = {
  type: 'object',
  required: ['name', 'ports'],
  additionalProperties: false,
  properties: {
    name: { type: 'string', pattern: '^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$' },
    ports: {
      type: 'array',
      minItems: 1,
      items: {
        anyOf: [
          port,
          {
            type: 'object',
            required: ['port'],
            additionalProperties: false,
            properties: { name: text, port, target: { enum: ['http', 'otlp-grpc', 'otlp-http'] } },
          },
        ],
      },
    },
  },
}

const ingressHost: Schema = {
  type: 'object',
  required: ['host'],
  additionalProperties: false,
  properties: {
    host: text,
    paths: {
      type: 'array',
      items: {
        type: 'object',
        additionalProperties: false,
        properties: { path: text, pathType: { enum: ['Prefix', 'Exact', 'ImplementationSpecific'] } },
      },
    },
  },
}

/** Values whose default does not say what they may be. */
const closed: Readonly<Record<string, Schema>> = {
  imagePullSecrets: objects,
  durability: { enum: ['auto', 'local', 'bucket'] },
  tenancy: { enum: ['on', 'off', true, false] },
  'image.pullPolicy': { enum: ['IfNotPresent', 'Always', 'Never'] },
  'server.service.type': { enum: ['ClusterIP', 'NodePort', 'LoadBalancer'] },
  retention,
  logsRetention: optionalRetention,
  tracesRetention: optionalRetention,
  'scrape.interval': scrapeDuration,
  'scrape.timeout': scrapeDuration,
  'server.replicas': { type: 'integer', minimum: 0 },
  'server.service.port': port,
  'tls.clientCa.auth': { enum: ['required', 'optional', 'none'] },
  'tls.clientCa.listeners': {
    type: 'object',
    propertyNames: { enum: [...tlsListeners] },
    additionalProperties: { enum: ['required', 'optional', 'none'] },
  },
  'tls.minVersion': { enum: ['TLSv1.2', 'TLSv1.3'] },
  'server.allowedHosts': texts,
  'server.corsOrigins': texts,
  'server.aliasServices': { type: 'array', items: { anyOf: [text, aliasService] } },
  'server.extraArgs': texts,
  'server.extraEnv': objects,
  'server.extraEnvFrom': objects,
  'server.extraVolumes': objects,
  'server.extraVolumeMounts': objects,
  'server.scrapeConfigs': objects,
  'server.rulesConfigMaps': texts,
  'server.rulesSecrets': texts,
  'server.tolerations': objects,
  'server.topologySpreadConstraints': objects,
  'server.persistence.accessModes': texts,
  'server.mountToken': { enum: ['auto', 'on', 'off', true, false] },
  'server.rules': { type: 'object', additionalProperties: text },
  'agent.extraArgs': texts,
  'agent.extraEnv': objects,
  'agent.extraEnvFrom': objects,
  'agent.extraVolumes': objects,
  'agent.extraVolumeMounts': objects,
  'agent.scrapeConfigs': objects,
  'agent.tolerations': objects,
  'networkPolicy.fromNamespaces': texts,
  'networkPolicy.toNamespaces': texts,
  'networkPolicy.toCidrs': texts,
  'networkPolicy.apiServerCidrs': texts,
  'prometheusRule.disabled': texts,
  'dashboards.kind': { enum: ['configMap', 'grafanaOperator'] },
  'dashboards.instanceSelector': { type: 'object' },
  'ingress.hosts': { type: 'array', items: ingressHost },
  'ingress.tls': objects,
  'route.parentRefs': objects,
  'route.hostnames': texts,
  'route.matches': objects,
  'route.filters': objects,
  'route.extraRules': objects,
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

type ObjectSchema = Schema & { properties: Record<string, ObjectSchema> }

/** `schema` with other properties, and its own description. */
function withProperties(schema: ObjectSchema, more: Record<string, Schema>): ObjectSchema {
  return { ...schema, properties: { ...schema.properties, ...more } as ObjectSchema['properties'] }
}

/** What the other names of values may hold: the same as these. */
function withAliases(schema: ObjectSchema): ObjectSchema {
  const { image, agent, server, scrape, vmagent, victoriametrics } = schema.properties
  const described = (alias: Schema | undefined, like: Schema): Schema => ({
    ...like,
    description: alias?.['description'] ?? like['description'],
  })
  const persistence = withProperties(server!.properties['persistence']!, {
    storageClassName: { ...text, description: 'Another name of `storageClass`.' },
  })
  const serverWith = withProperties(server!, {
    persistence,
    persistentVolume: described(server!.properties['persistentVolume'], persistence),
    image: described(server!.properties['image'], image!),
    retention: described(server!.properties['retention'], optionalRetention),
    retentionPeriod: described(server!.properties['retentionPeriod'], {
      type: ['string', 'integer'],
      pattern: '^([0-9]+(h|d|w|y)?)?$',
    }),
    env: described(server!.properties['env'], objects),
    envFrom: described(server!.properties['envFrom'], objects),
  })
  const agentWith = described(vmagent, withProperties(agent!, { image: image! }))
  return withProperties(schema, {
    server: serverWith,
    vmagent: agentWith,
    victoriametrics: described(victoriametrics, {
      type: 'object',
      properties: { enabled: { type: 'boolean' }, server: serverWith, vmagent: agentWith, scrape: scrape! },
      additionalProperties: false,
    }),
  })
}

export function valuesSchema(values: string): Schema {
  const schema = withAliases(schemaOf(parseDocument(values).contents, '') as ObjectSchema)
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the chart tercet',
    ...schema,
    properties: { ...schema.properties, global: { type: 'object', description: 'Of the umbrella chart.' } },
  }
}

if (import.meta.main)
  process.stdout.write(`${JSON.stringify(valuesSchema(readFileSync('deploy/chart/values.yaml', 'utf8')), null, 2)}\n`)
