/**
 * Names of tenants. A tenant's objects lie below its name at the first level of a bucket, which metrics, logs and
 * traces may share: so the names that any of their formats has there for itself are no names of tenants, in none of the
 * three signals.
 */
import { BadDataError } from './errors.ts'

/** What Mimir, Loki and Tempo take: https://grafana.com/docs/mimir/latest/configure/about-tenant-ids/ */
const bytesMax = 150
const plainName = /^[A-Za-z0-9!_.*'()-]*$/

/** By name, in lower case: what lies there. */
const reserved: ReadonlyMap<string, string> = new Map([
  ['index', "Loki's indexes"],
  ['rules', 'rule groups of the rulers'],
  ['traces', 'traces beside other signals'],
  ['debug', "Thanos' copies of meta.json"],
  ['__mimir_cluster', 'what Mimir keeps for itself'],
  ['__markers__', 'what Cortex keeps for itself'],
  ['user-index.json.gz', "Cortex' list of tenants"],
  ['loki_cluster_seed.json', "the seed of Loki's cluster"],
  ['tempo_cluster_seed.json', "the seed of Tempo's cluster"],
])

/** Blocks of Prometheus and Thanos lie at the first level under such names. */
const ulid = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/

/**
 * What lies under a name at the first level of a bucket, where it can't be a tenant. File systems that take `Index` and
 * `index` for one name have it under both.
 */
export function reservedFor(name: string): string | undefined {
  return reserved.get(name.toLowerCase()) ?? (ulid.test(name) ? 'a block of Prometheus' : undefined)
}

/** Throws BadDataError that says why a name is none of a tenant. */
export function checkTenantName(name: string): void {
  const shown = JSON.stringify(name.slice(0, bytesMax))
  if (name === '') throw new BadDataError('the name of the tenant is empty')
  if (name.length > bytesMax)
    throw new BadDataError(`tenant ID is too long: it has ${name.length} characters, the limit is ${bytesMax}`)
  if (name === '.' || name === '..') throw new BadDataError(`tenant ID ${shown} is a directory, and no name`)
  if (name.includes('|'))
    throw new BadDataError(`tenant ID ${shown} names several tenants: a request is about one of them`)
  if (!plainName.test(name))
    throw new BadDataError(
      `tenant ID ${shown} contains an unsupported character: letters, digits and !-_.*'() make a name`,
    )
  const owner = reservedFor(name)
  if (owner !== undefined) throw new BadDataError(`tenant ID ${shown} is reserved: ${owner} would lie there`)
}
