/** The parts of an agent. */
import type { Context } from './context.ts'
import { makePart } from './part.ts'
import { makeAdmin, makeHealth } from './parts/admin.ts'
import { makeCredentials } from './parts/credentials.ts'
import { makeDoors } from './parts/doors.ts'
import { makeForwarding } from './parts/forwarding.ts'
import { makeMemory } from './parts/memory.ts'
import { makeOperators } from './parts/operators.ts'
import { makeScraping } from './parts/scraping.ts'
import { metricsRoute, registerProcess } from './parts/self.ts'
import { makeTailing } from './parts/tailing.ts'
import { makeWatching } from './parts/watching.ts'
import type { Composition, Process } from './role.ts'

/** Scrapes, receives and follows log files, and forwards: only what waits to be sent is stored. */
export function makeAgent(context: Context, own: Process): Composition {
  const forwarding = makeForwarding(context, settings => scraping.scraping.discovery.client(settings))
  const scraping = makeScraping(context, {
    appender: forwarding.forwarder,
    tenant: '',
    metadata: () => new Map(),
    offered: routes => routes,
    prepare: forwarding.apply,
  })
  const self = makePart({
    name: 'own metrics',
    answersAtOnce: true,
    routes: metricsRoute(own.registry),
    metrics: registerProcess,
  })
  const operators = makeOperators(context, scraping.scraping, undefined)
  const tailing = makeTailing(context, forwarding)
  const admin = makeAdmin([], () => own.reload())
  const health = makeHealth(own)
  const watching = makeWatching(context, () => own.reload())
  return {
    parts: [
      health,
      makeDoors(context),
      makeMemory(context),
      makeCredentials(context),
      forwarding,
      scraping,
      operators,
      tailing,
      self,
      admin,
      watching,
    ],
    signals: [],
    remotes: () => forwarding.remotes(),
    onRequest: () => {
      // An agent's memory is small: requests are not counted by route.
    },
  }
}
