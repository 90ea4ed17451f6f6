/** What a process that only reads says of the indexes of chunks that it found, at its start. */
import type { LogFields } from '#core/log.ts'
import { listed } from '#core/listed.ts'
import { dayMs, type IndexCatalogue } from './index-catalogue.ts'

const dateOf = (day: number): string => new Date(day * dayMs).toISOString().slice(0, 10)

/** Days of these tables, as periods of days that follow each other: `2026-01-01..2026-01-03`. */
function periodsOf(days: Iterable<number>): string {
  const periods: [number, number][] = []
  for (const day of [...new Set(days)].sort((a, b) => a - b)) {
    const last = periods.at(-1)
    if (last?.[1] === day - 1) last[1] = day
    else periods.push([day, day])
  }
  return listed(periods.map(([from, to]) => (from === to ? dateOf(from) : `${dateOf(from)}..${dateOf(to)}`)))
}

export function foundIndexes(catalogue: IndexCatalogue): LogFields {
  const files = catalogue.all()
  const unread = catalogue.unreadTables()
  const own = files.flatMap(({ tenant }) => tenant ?? [])
  const common = files.filter(({ tenant }) => tenant === undefined).length
  const damaged = catalogue.damage.size
  return {
    tenants: listed(own),
    indexes: files.length,
    days: periodsOf(files.map(({ day }) => day)),
    prefixes: listed(files.map(({ key }) => /^index\/([^/]*?)\d{1,5}\//.exec(key)?.[1] ?? '')),
    ...(common === 0 ? {} : { ofSeveralTenants: common }),
    ...(unread.length === 0 ? {} : { boltdbNotRead: periodsOf(unread.map(({ day }) => day)) }),
    ...(damaged === 0 ? {} : { damaged }),
  }
}
