/** What the addresses are warned of: names that were refused. Serves nothing. */
import type { Context } from '../context.ts'
import { makePart, type Part } from '../part.ts'

/** Why requests by these names were refused, and what changes it. */
function foreignHostsWarning({ security }: Pick<Context, 'security'>): string | undefined {
  const names = security.browsers.foreignHosts
  if (names.length === 0) return undefined
  return `requests by the names ${names.join(', ')} were refused: where one is this server's, name it in allowed_hosts`
}

export function makeDoors(context: Context): Part {
  return makePart({ name: 'addresses', warning: () => foreignHostsWarning(context) })
}
