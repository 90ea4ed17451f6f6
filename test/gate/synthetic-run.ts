/**
 * Telemetry of a test run that never was: a shop with a few routes on a noisy machine, from a seed. Each run has a
 * machine of its own speed, busy minutes, pauses of the collector, heavy tails, other numbers of requests, other ids
 * and names; defects are planted on request.
 */
import { seededRandom, type Random } from '#core/random.ts'
import type { Labels, Span } from '#library/results.ts'
import { metricProfileOf } from '../../src/gate/metric-profile.ts'
import { Profile } from '../../src/gate/profile.ts'

export interface Defects {
  /** More queries for each request of `GET /orders/:id`. */
  moreQueries?: number
  /** Part of the requests of `POST /checkout` that fail. */
  failingShare?: number
  /** Of `GET /products`: by how many milliseconds, and how many times slower. */
  slowerMs?: number
  slowerFactor?: number
  isMetricMissing?: boolean
  isLabelMissing?: boolean
  /** Users in a label. */
  bombSeries?: number
  isLoggingErrors?: boolean
  /** More calls of the payment service in `POST /checkout`. */
  moreCalls?: number
}

interface RoutePlan {
  route: string
  medianMs: number
  requests: number
  statements: readonly (readonly [statement: (id: number) => string, count: number])[]
  calls: number
}

const plans: readonly RoutePlan[] = [
  {
    route: 'GET /products',
    medianMs: 60,
    requests: 120,
    statements: [[id => `SELECT * FROM products WHERE shop = ${id} LIMIT 50`, 2]],
    calls: 0,
  },
  {
    route: 'GET /orders/:id',
    medianMs: 25,
    requests: 60,
    statements: [
      [id => `SELECT * FROM orders WHERE id = ${id}`, 1],
      [id => `SELECT * FROM lines WHERE order_id = ${id}`, 1],
    ],
    calls: 0,
  },
  {
    route: 'POST /checkout',
    medianMs: 140,
    requests: 50,
    statements: [[id => `INSERT INTO orders (id, name) VALUES (${id}, 'name ${id}')`, 3]],
    calls: 1,
  },
  { route: 'GET /health', medianMs: 1, requests: 120, statements: [], calls: 0 },
  {
    route: 'GET /cached/:id',
    medianMs: 8,
    requests: 60,
    statements: [[id => `SELECT value FROM cache WHERE key = 'k${id}'`, 5]],
    calls: 0,
  },
]

class Machine {
  readonly random: Random
  readonly #speed: number
  readonly #busyFrom: number
  readonly #routeSpeeds = new Map<string, number>()

  constructor(random: Random) {
    this.random = random
    this.#speed = Math.exp(0.25 * this.normal())
    this.#busyFrom = this.part()
  }

  part(): number {
    return this.random.u32() / 2 ** 32
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.part())) * Math.cos(2 * Math.PI * this.part())
  }

  /** `at`: the part of the run that is over. */
  durationMs(name: string, medianMs: number, at: number): number {
    const own = this.#routeSpeeds.get(name) ?? Math.exp(0.05 * this.normal())
    this.#routeSpeeds.set(name, own)
    const isBusy = at > this.#busyFrom && at < this.#busyFrom + 0.2
    const load = (1 + 0.2 * at) * (isBusy ? 1.5 : 1)
    const tail = this.part() < 0.03 ? 2 + 8 * this.part() : 1
    const pauseMs = this.part() < 0.02 ? 50 + 250 * this.part() : 0
    return medianMs * this.#speed * own * load * tail * Math.exp(0.3 * this.normal()) + pauseMs
  }

  hex(digits: number): string {
    return Buffer.from(this.random.bytes(digits / 2)).toString('hex')
  }
}

const startMs = 1_780_000_000_000
const lengthMs = 300_000

interface SpanPlan extends Partial<Span> {
  name: string
}

function spanOf(traceId: string, machine: Machine, plan: SpanPlan, atMs: number, durationMs: number): Span {
  return {
    traceId,
    spanId: machine.hex(16),
    parentId: '',
    service: 'shop',
    kind: 'internal',
    status: 'unset',
    statusMessage: '',
    startNs: BigInt(Math.round(atMs * 1e6)),
    durationNs: BigInt(Math.round(durationMs * 1e6)),
    attributes: {},
    resource: { 'service.name': 'shop' },
    events: [],
    ...plan,
  }
}

/** The statements that one request asks. */
function statementsOf({ route, statements }: RoutePlan, machine: Machine, { moreQueries = 0 }: Defects): string[] {
  // Half of the requests find what they want in the cache.
  if (route === 'GET /cached/:id' && machine.part() < 0.5) return []
  const found = statements.flatMap(([statement, count]) =>
    Array.from({ length: count }, () => statement(machine.random.u32() % 100_000)),
  )
  // A statement is asked again where the connection was lost.
  if (machine.part() < 0.03 && found.length > 0) found.push(found[0]!)
  if (route === 'GET /orders/:id')
    for (let i = 0; i < moreQueries; i++)
      found.push(`SELECT * FROM products WHERE id = '${machine.hex(8)}' -- of the order`)
  return found
}

/** Why a request fails; undefined where it does not. */
function failureOf(route: string, machine: Machine, { failingShare = 0 }: Defects): [string, string] | undefined {
  if (route === 'POST /checkout' && machine.part() < failingShare)
    return ['TypeError', `Cannot read properties of undefined (reading 'price') of order ${machine.random.u32()}`]
  // Those that fail now and then, before and after.
  if (route === 'POST /checkout' && machine.part() < 0.12)
    return ['PaymentError', `card ${machine.hex(16)} was refused after ${machine.random.u32() % 900} ms`]
  return undefined
}

function addRequest(profile: Profile, plan: RoutePlan, machine: Machine, defects: Defects, at: number): void {
  const traceId = machine.hex(32)
  const atMs = startMs + at * lengthMs
  const isSlow = plan.route === 'GET /products'
  const { slowerMs = 0, slowerFactor = 1 } = isSlow ? defects : {}
  const durationMs = machine.durationMs(plan.route, plan.medianMs, at) * slowerFactor + slowerMs
  const [method = '', path = ''] = plan.route.split(' ')
  const failure = failureOf(plan.route, machine, defects)
  const root = spanOf(
    traceId,
    machine,
    {
      name: plan.route,
      kind: 'server',
      attributes: { 'http.request.method': method, 'http.route': path },
      ...(failure === undefined ? {} : failed(failure)),
    },
    atMs,
    durationMs,
  )
  const spans = [root]
  for (const statement of statementsOf(plan, machine, defects))
    spans.push(
      spanOf(
        traceId,
        machine,
        {
          name: statement.split(' ').slice(0, 4).join(' '),
          kind: 'client',
          parentId: root.spanId,
          attributes: { 'db.system.name': 'postgresql', 'db.query.text': statement },
        },
        atMs + 1,
        machine.durationMs('query', Math.min(4, plan.medianMs / 10), at),
      ),
    )
  const calls = plan.calls + (plan.route === 'POST /checkout' ? (defects.moreCalls ?? 0) : 0)
  for (let i = 0; i < calls; i++)
    spans.push(
      spanOf(
        traceId,
        machine,
        {
          name: 'POST',
          kind: 'client',
          parentId: root.spanId,
          attributes: { 'http.request.method': 'POST', 'url.full': `http://payments:80/pay/${machine.hex(12)}` },
        },
        atMs + 2,
        machine.durationMs('payment', 30, at),
      ),
    )
  profile.traces++
  profile.addTrace({ traceId, spans })
}

function failed([type, message]: [string, string]): Pick<Span, 'status' | 'statusMessage' | 'events'> {
  const attributes = { 'exception.type': type, 'exception.message': message }
  return { status: 'error', statusMessage: message, events: [{ name: 'exception', timeNs: 0n, attributes }] }
}

const users = ['ada', 'ben', 'cleo', 'dan', 'eve', 'finn', 'gina', 'hugo', 'ines', 'jan', 'kim', 'lea', 'mia', 'noah']

function addLines(profile: Profile, machine: Machine, { isLoggingErrors = false }: Defects): void {
  const count = 20 + Math.floor(machine.part() * 10)
  for (let i = 0; i < count; i++) {
    const user = users[machine.random.u32() % users.length]!
    profile.logs.add({ service: 'shop', level: 'error', line: `no session for user ${user} at 10.0.0.${i}` })
    const took = `took ${(machine.part() * 900).toFixed(1)}ms, order ${machine.hex(12)}`
    profile.logs.add({ service: 'shop', level: 'warn', line: JSON.stringify({ level: 'warn', msg: `slow: ${took}` }) })
  }
  if (!isLoggingErrors) return
  for (let i = 0; i < 3; i++)
    profile.logs.add({ service: 'shop', level: 'error', line: `level=error msg="stock is negative" item=${i}` })
}

function addMetrics(profile: Profile, machine: Machine, defects: Defects): void {
  const { bombSeries = 0, isMetricMissing = false, isLabelMissing = false } = defects
  const add = (name: string, series: Labels[], type: string): void => {
    profile.metrics.set(name, metricProfileOf(name, series, { type }))
  }
  const routes = plans.map(({ route }) => ({ route, instance: machine.hex(8), status: '200' }))
  add('http_requests_total', isLabelMissing ? routes.map(({ route }) => ({ route })) : routes, 'counter')
  if (!isMetricMissing) add('orders_total', [{ kind: 'new' }, { kind: 'old' }], 'counter')
  const sessions = Array.from({ length: bombSeries }, (_, i) => ({ user: `user-${i}`, route: '/' }))
  add('sessions', [{ route: '/' }, { route: '/cart' }, ...sessions], 'gauge')
  const workers = 40 + (machine.random.u32() % 20)
  add(
    'worker_jobs',
    Array.from({ length: workers }, (_, i) => ({ worker: String(i) })),
    'gauge',
  )
}

/** A profile of a run; the same for the same seed and defects. */
export function syntheticRun(seed: number, defects: Defects = {}): Profile {
  const machine = new Machine(seededRandom(seed))
  const profile = new Profile(`run ${seed}`, startMs, startMs + lengthMs)
  for (const plan of plans) {
    const count = Math.round(plan.requests * (0.8 + 0.4 * machine.part()))
    for (let i = 0; i < count; i++) addRequest(profile, plan, machine, defects, i / count)
  }
  addLines(profile, machine, defects)
  addMetrics(profile, machine, defects)
  return profile.finish()
}
