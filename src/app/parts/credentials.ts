/** Credentials: their files are read again when they have changed. */
import { loginRoutes } from '#auth/login.ts'
import { Repeater } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { Context } from '../context.ts'
import { makePart, type Part } from '../part.ts'

/** A token that was taken back is of no use after this. */
const lookEveryMs = 10_000

type CredentialsContext = Pick<Context, 'world' | 'security' | 'audit' | 'externalUrl' | 'tenancy'>

export function makeCredentials({ world, security, audit, externalUrl, tenancy }: CredentialsContext): Part {
  const { clock, log, random } = world
  const { credentials } = security
  const { failedLogins } = credentials
  credentials.onLogin = ({ name, from, isRight }) => {
    void audit.note({ who: name.slice(0, 200), action: 'login', outcome: isRight ? 'done' : 'refused', from })
  }
  let problem: string | undefined
  const read = async (): Promise<void> => {
    try {
      const hasChanged = await credentials.refresh()
      problem = undefined
      if (hasChanged) log.info('credentials have changed and were read again')
    } catch (error) {
      problem = messageOf(error)
      throw error
    }
  }
  const look = async (): Promise<void> => {
    const before = problem
    await read().catch(() => undefined)
    if (problem !== undefined && problem !== before)
      log.error('a file of credentials is wrong; those that were read before stay', { error: problem })
  }
  let repeater: Repeater | undefined
  const routes = loginRoutes({
    clock,
    random,
    externalUrl,
    hasTenancy: tenancy.isOn,
    logins: () => credentials.logins,
    onLogin: login => {
      credentials.onLogin(login)
    },
  })
  return makePart({
    name: 'credentials',
    answersAtOnce: true,
    routes,
    metrics: registry => {
      const help = 'Wrong passwords.'
      registry.read('tercet_failed_logins_total', help, 'counter', () => failedLogins.failures)
      const refused = 'Passwords that were not looked at, after too many wrong ones.'
      registry.read('tercet_refused_logins_total', refused, 'counter', () => failedLogins.refused)
    },
    start: () => {
      repeater = new Repeater(clock, lookEveryMs, look)
      return Promise.resolve()
    },
    stop: async () => {
      await repeater?.stop()
    },
    reload: read,
    warning: () => (problem === undefined ? undefined : `a file of credentials is wrong: ${problem}`),
  })
}
