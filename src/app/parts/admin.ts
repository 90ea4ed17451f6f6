/** Health and readiness, and what an operator asks the process to do. */
import { administersProcess, known, lackOf, open, readsProcess } from '#net/access.ts'
import { allowing, at, type GuardedRoute, type Handler, type HttpReply, type Route } from '#net/route-table.ts'
import type { DamagedBlock } from '#store/damage.ts'
import type { Signal } from '#store/signal.ts'
import { makePart, type Part } from '../part.ts'
import type { Process } from '../role.ts'

const text = { 'content-type': 'text/plain; charset=utf-8' } as const
const push = ['POST', 'PUT'] as const

function saying(body: string): Handler {
  return () => Promise.resolve({ status: 200, headers: text, body })
}

type Health = Pick<Process, 'notReady' | 'warnings'>

/** A process that is ready also says what does not work. */
function readyText({ warnings }: Health): string {
  const lines = warnings().flatMap(warning => warning.split('\n'))
  return ['Tercet is ready.', ...lines.map(line => `warning: ${line}`)].map(line => `${line}\n`).join('')
}

/** For whoever has no right credential: the texts name hosts, files and tenants. */
function shortReadyText({ warnings }: Health): string {
  const hint = warnings().length === 0 ? '' : 'There are warnings: ask with credentials that may read all.\n'
  return `Tercet is ready.\n${hint}`
}

function healthRoutes(health: Health): GuardedRoute[] {
  const readiness: Handler = ({ grant }) => {
    const reason = health.notReady()
    const isTold = lackOf(readsProcess, grant) === undefined
    const body =
      reason === undefined
        ? (isTold ? readyText : shortReadyText)(health)
        : isTold
          ? reason
          : 'Tercet is not ready: ask with credentials that may read all for the reason.\n'
    return Promise.resolve({ status: reason === undefined ? 200 : 503, headers: text, body })
  }
  return allowing(open, [
    ...at(['GET'], ['/health'], saying('OK')),
    ...at(['GET'], ['/-/healthy'], saying('Tercet is healthy.\n')),
    ...at(['GET'], ['/-/ready', '/ready'], readiness),
  ])
}

/**
 * What programs of VictoriaMetrics and VictoriaLogs ask after a backfill. What is acknowledged is read at once, and
 * kept answers follow what is written late: there is nothing to do.
 */
function backfillRoutes(): GuardedRoute[] {
  const paths = ['/internal/force_flush', '/internal/resetRollupResultCache']
  return allowing(known, at(['GET', 'POST'], paths, saying('OK\n')))
}

function reloadRoute(reload: () => Promise<void>): Route[] {
  return at(push, ['/-/reload'], async () => {
    await reload()
    return { status: 200, body: '' }
  })
}

/** Everything else is in the bucket: a body says what could not be written. */
function withSetAside(reply: HttpReply, blocks: readonly DamagedBlock[]): HttpReply {
  if (blocks.length === 0) return reply
  const lines = blocks.map(({ tenant, id, reason }) => `set aside: ${tenant} ${id}: ${reason}\n`)
  return { status: 200, headers: text, body: lines.join('') }
}

/** Flush, hand-over and refresh of all signals; 204 when every signal has done it. */
function signalRoutes(signals: readonly Signal[], setAside: () => readonly DamagedBlock[]): Route[] {
  const all = async (work: (signal: Signal) => Promise<void>): Promise<HttpReply> => {
    await Promise.all(signals.map(work))
    return { status: 204 }
  }
  return [
    ...at(push, ['/-/flush'], () => all(signal => signal.flush()).then(reply => withSetAside(reply, setAside()))),
    // To another system on the same buckets: see tercet deploy graduate.
    ...at(['POST'], ['/-/hand-over'], ({ query }) =>
      all(signal => signal.handOver(query.get('to') ?? 'another writer')),
    ),
    ...at(push, ['/-/refresh'], () => all(signal => signal.refresh())),
  ]
}

/** Answers from the moment that the addresses are open. */
export function makeHealth(health: Health): Part {
  return makePart({ name: 'health', answersAtOnce: true, routes: healthRoutes(health) })
}

export function makeAdmin(
  signals: readonly Signal[],
  reload: () => Promise<void>,
  setAside: () => readonly DamagedBlock[] = () => [],
): Part {
  const ofSignals = signals.length === 0 ? [] : [...signalRoutes(signals, setAside), ...backfillRoutes()]
  const routes = allowing(administersProcess, [...ofSignals, ...reloadRoute(reload)])
  return makePart({ name: 'administration', routes })
}
