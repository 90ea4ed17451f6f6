/**
 * Pages of text about the process, at the paths where Loki and Tempo have theirs: configuration, parts, routes, the
 * level of its log. Source: their HTTP API references.
 */
import { lokiErrors } from '#api/loki/respond.ts'
import { BadDataError, NotFoundError } from '#core/errors.ts'
import { quote } from '#core/text.ts'
import { administersProcess, readsProcess } from '#net/access.ts'
import { allowing, at, inDialect, route, type Handler, type HttpReply, type Route } from '#net/route-table.ts'
import type { Context } from '../context.ts'
import { severities } from '../logger.ts'
import { makePart, type Part } from '../part.ts'
import type { Process } from '../role.ts'
import { version } from '../version.ts'

type Page = () => string

function textReply(body: string): HttpReply {
  return { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body }
}

function showing(page: Page): Handler {
  return () => Promise.resolve(textReply(page()))
}

/** `?mode=diff`: what differs from the defaults; `?mode=defaults`: the defaults. */
function configPage({ config }: Pick<Context, 'config'>): Handler {
  return ({ query }) => {
    const mode = query.get('mode') || 'all'
    if (mode !== 'all' && mode !== 'diff' && mode !== 'defaults')
      throw new BadDataError(`unknown value for mode parameter: ${quote(mode)}; diff and defaults are known`)
    return Promise.resolve(textReply(`${config.describe(mode)}\n`))
  }
}

/** Each part with its state, one a line. */
function servicesPage(own: Pick<Process, 'states'>): Page {
  return () =>
    own
      .states()
      .map(({ name, state }) => `${name} => ${state}\n`)
      .join('')
}

function logLevelRoutes(context: Pick<Context, 'world'>): Route[] {
  const { log } = context.world
  const json = (message: string, status = 200): HttpReply => ({
    status,
    headers: { 'content-type': 'application/json' },
    body: `${JSON.stringify(status === 200 ? { message } : { error: message })}\n`,
  })
  return [
    route(['GET'], '/log_level', () => Promise.resolve(json(`Current log level is ${log.level ?? 'unknown'}`))),
    ...allowing(administersProcess, [
      route(['POST'], '/log_level', async request => {
        const level = (await request.form()).get('log_level') ?? ''
        if (!severities.some(one => one === level))
          return json(`unrecognized log level ${quote(level)}; ${severities.join(', ')} are known`, 400)
        if (log.level === undefined) return json('the level of this log can not be changed', 400)
        log.level = level
        return json(`Log level set to ${level}`)
      }),
    ]),
  ]
}

/** The configuration, the parts, the version: each as a page, and all as one. */
export function makePages(context: Context, own: Pick<Process, 'states'>): Part {
  const pages: Readonly<Record<string, Page>> = {
    version: () => `tercet, version ${version}\n`,
    services: servicesPage(own),
    config: () => `${context.config.describe()}\n`,
  }
  const section = ([name, page]: [string, Page]): string => `GET /status/${name}\n${page()}`
  const routes = [
    ...at(['GET'], ['/config'], configPage(context)),
    ...at(['GET'], ['/services'], showing(servicesPage(own))),
    ...at(
      ['GET'],
      ['/status'],
      showing(() => Object.entries(pages).map(section).join('\n')),
    ),
    route(['GET'], '/status/:page', async ({ params }) => {
      const name = params['page'] ?? ''
      const page = Object.entries(pages).find(([known]) => known === name)
      if (page === undefined)
        throw new NotFoundError(`unknown status page ${quote(name)}; ${Object.keys(pages).join(', ')} are known`)
      return textReply(section(page))
    }),
    ...logLevelRoutes(context),
  ]
  const guarded = allowing(readsProcess, inDialect(lokiErrors, routes))
  return makePart({ name: 'pages', answersAtOnce: true, routes: guarded })
}
