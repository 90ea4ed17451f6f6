/** The APIs through which rulers are given groups of rules: Loki's and Mimir's. Source: their HTTP API references. */
import { ruleGroupYaml, ruleNamespacesYaml } from '#alert/rule-group-yaml.ts'
import type { Ruler } from '#alert/ruler.ts'
import { BadDataError, LimitError } from '#core/errors.ts'
import type { SignalName } from '#core/signal-name.ts'
import { decodeUtf8 } from '#core/text.ts'
import { readsAll, setsRules } from '#net/access.ts'
import {
  allowing,
  inDialect,
  route,
  under,
  whenReady,
  type ErrorReplies,
  type GuardedRoute,
  type Handler,
  type HttpReply,
  type HttpRequest,
  type Readiness,
} from '#net/route-table.ts'
import { lokiErrors, plain } from './loki/respond.ts'
import type { TenantOf } from './tenancy.ts'

export interface RulerRouteOptions {
  /** Where the groups are kept. */
  store: Readiness
  tenantOf: TenantOf
  /** Rules are shown, and not changed. */
  isReader: boolean
}

/** Below its own path, below that of its first versions, and as a data source of VictoriaLogs has it. */
export function lokiRulerRoutes(ruler: Ruler, options: RulerRouteOptions): GuardedRoute[] {
  const paths = ['/loki/api/v1/rules', '/api/prom/rules', '/select/logsql/loki/api/v1/rules']
  return routesOf('logs', ruler, options, paths)
}

/** Below Mimir's path with and without the prefix of its Prometheus API. */
export function mimirRulerRoutes(ruler: Ruler, options: RulerRouteOptions): GuardedRoute[] {
  return routesOf('metrics', ruler, options, ['/prometheus/config/v1/rules', '/config/v1/rules'])
}

const accepted: HttpReply = {
  status: 202,
  headers: { 'content-type': 'application/json' },
  body: '{"status":"success","data":null,"errorType":"","error":""}',
}

const readsOnly = plain(403, 'This process has role=query and changes no rules: ask one that writes.\n')

function yaml(body: string): HttpReply {
  return { status: 200, headers: { 'content-type': 'application/yaml' }, body }
}

function routesOf(
  signal: SignalName,
  ruler: Ruler,
  { store, tenantOf, isReader }: RulerRouteOptions,
  paths: readonly string[],
): GuardedRoute[] {
  const namespaceOf = ({ params }: HttpRequest): string => params['namespace'] ?? ''
  const nameOf = ({ params }: HttpRequest): string => params['group'] ?? ''
  const list = async (request: HttpRequest, namespace?: string): Promise<HttpReply> => {
    const found = await ruler.list(tenantOf(request), namespace)
    return found.size === 0 ? plain(404, 'no rule groups found\n') : yaml(ruleNamespacesYaml(found))
  }
  const change = (handler: Handler): Handler => (isReader ? () => Promise.resolve(readsOnly) : handler)
  const routes = [
    route(['GET'], '', request => list(request)),
    route(['GET'], '/:namespace', request => list(request, namespaceOf(request))),
    route(['GET'], '/:namespace/:group', async request =>
      yaml(ruleGroupYaml(await ruler.find(tenantOf(request), namespaceOf(request), nameOf(request)))),
    ),
  ]
  const changes = [
    route(
      ['POST'],
      '/:namespace',
      change(async request => {
        await ruler.set(tenantOf(request), namespaceOf(request), await textOf(request))
        return accepted
      }),
    ),
    route(
      ['DELETE'],
      '/:namespace',
      change(async request => {
        await ruler.remove(tenantOf(request), namespaceOf(request))
        return accepted
      }),
    ),
    route(
      ['DELETE'],
      '/:namespace/:group',
      change(async request => {
        await ruler.remove(tenantOf(request), namespaceOf(request), nameOf(request))
        return accepted
      }),
    ),
  ]
  const guarded = [...allowing(readsAll(signal), routes), ...allowing(setsRules(signal), changes)]
  const placed = under(paths, whenReady(store, guarded))
  return allowing(readsAll(signal), inDialect(endingLines, placed)).map(one => ({
    ...one,
    wrongMethod: paths.includes(one.path) ? plain(404, '404 page not found\n') : { status: 405 },
  }))
}

/** Loki's errors, which end with a line's end here. */
const endingLines = Object.fromEntries(
  Object.entries(lokiErrors).map(([kind, reply]) => [
    kind,
    (error: never): HttpReply => {
      const told: HttpReply = reply(error)
      return typeof told.body === 'string' ? { ...told, body: `${told.body}\n` } : told
    },
  ]),
) as unknown as ErrorReplies

/** Bytes of a body; what a group may have in characters is less. */
const bodyBytesMax = 512 * 1024

async function textOf(request: HttpRequest): Promise<string> {
  const bytes = await request.body()
  if (bytes.length > bodyBytesMax)
    throw new LimitError(`a group of rules of ${bytes.length} bytes, ${bodyBytesMax} are allowed`, 413)
  return decodeUtf8(bytes, 0, bytes.length) ?? refuseBytes()
}

function refuseBytes(): never {
  throw new BadDataError('the group of rules is not UTF-8')
}
