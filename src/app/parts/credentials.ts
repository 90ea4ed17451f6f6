/** Credentials: their files are read again when they have changed. */
import { FailedLogins } from '#auth/failed-logins.ts'
import { loginRoutes } from '#auth/login.ts'
import type { Context } from '../context.ts'
import { makePart, type Part } from '../part.ts'
import { Reread } from '../reread.ts'

type CredentialsContext = Pick<Context, 'world' | 'security' | 'audit' | 'externalUrl' | 'tenancy'>

export function makeCredentials({ world, security, audit, externalUrl, tenancy }: CredentialsContext): Part {
  const { clock, random } = world
  const { credentials, auth } = security
  const { failedLogins } = credentials
  credentials.onLogin = ({ name, from, isRight }) => {
    void audit.note({ who: name.slice(0, 200), action: 'login', outcome: isRight ? 'done' : 'refused', from })
  }
  const files = new Reread(world, {
    what: 'a file of credentials',
    read: () => credentials.refresh(),
    // Also where no file has changed: tokens and sessions of a provider are over at some time.
    onLook: () => auth.recheck(),
  })
  // Anybody can send a login that was never begun: no more of them are noted than wrong passwords.
  const strangers = new FailedLogins(clock)
  const routes = loginRoutes({
    clock,
    random,
    externalUrl,
    hasTenancy: tenancy.isOn,
    logins: () => credentials.logins,
    onLogin: login => {
      const { from, isRight } = login
      if (!isRight && strangers.waitSeconds(from, '') > 0) return
      if (!isRight) strangers.note(from, '')
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
      files.start()
      return Promise.resolve()
    },
    stop: () => files.stop(),
    reload: async () => {
      await files.readAgain()
      await auth.recheck()
    },
    warning: () => files.warning,
  })
}
