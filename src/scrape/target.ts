/**
 * Targets: what discovery found, after relabelling. Source of the rules: Prometheus' public configuration
 * documentation.
 */
import { parseDurationMs, formatDuration } from '#core/duration.ts'
import { messageOf } from '#core/errors.ts'
import { maskUrl, maskUrls } from '#core/secret.ts'
import { checkTenantName } from '#core/tenant-name.ts'
import { compareText, quote } from '#core/text.ts'
import { tenantLabel } from '#lang/regex/constraint.ts'
import { relabel, type LabelMap } from '#lang/relabel/relabel.ts'
import type { ScrapeJob } from './config.ts'
import type { TargetGroup } from './discovery/discovery.ts'

/** An endpoint that is scraped. Times are milliseconds. */
export interface Target {
  /** Equal for targets that are scraped alike. */
  key: string
  /** What its series get. */
  labels: readonly [string, string][]
  /** Before relabelling. */
  discovered: readonly [string, string][]
  url: string
  intervalMs: number
  timeoutMs: number
  /** Whose its series are. */
  tenant: string
  /** Why it is not scraped; empty: it is. */
  problem: string
}

/** The targets of a job; `dropped`: labels before relabelling, of targets that relabelling or a fault removed. */
export interface TargetSet {
  active: Target[]
  dropped: (readonly [string, string][])[]
  problems: string[]
}

const sorted = (labels: LabelMap): [string, string][] =>
  [...labels].filter(([, value]) => value !== '').sort((a, b) => compareText(a[0], b[0]))

function discoveredLabels(
  job: ScrapeJob,
  group: TargetGroup,
  own: readonly [string, string][],
  hasTenancy: boolean,
): LabelMap {
  const labels: LabelMap = new Map([...group.labels, ...own])
  const put = (name: string, value: string): void => {
    if (value !== '' && (labels.get(name) ?? '') === '') labels.set(name, value)
  }
  put('job', job.jobName)
  put('__scrape_interval__', formatDuration(job.intervalMs))
  put('__scrape_timeout__', formatDuration(job.timeoutMs))
  put('__metrics_path__', job.metricsPath)
  put('__scheme__', job.scheme)
  if (hasTenancy) put(tenantLabel, job.tenant)
  for (const [name, [first]] of job.params) if (first !== undefined) put(`__param_${name}`, first)
  return labels
}

function urlOf(job: ScrapeJob, labels: LabelMap): string {
  const query = new URLSearchParams()
  for (const [name, values] of job.params)
    values.forEach((value, i) => {
      query.append(name, i === 0 ? (labels.get(`__param_${name}`) ?? value) : value)
    })
  for (const [name, value] of labels)
    if (name.startsWith('__param_') && !job.params.some(([param]) => `__param_${param}` === name))
      query.append(name.slice('__param_'.length), value)
  query.sort()
  const path = labels.get('__metrics_path__') ?? ''
  const text = query.toString()
  const question = path.indexOf('?')
  const plain = question < 0 ? path : path.slice(0, question)
  const search = [question < 0 ? '' : path.slice(question + 1), text].filter(Boolean).join('&')
  const origin = `${labels.get('__scheme__') ?? 'http'}://${labels.get('__address__') ?? ''}`
  return `${origin}${plain.startsWith('/') ? '' : '/'}${plain}${search === '' ? '' : `?${search}`}`
}

/** `user:password@` before a host is for the connection, and no part of a series. */
function withoutUser(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1)
}

/** undefined: dropped by relabelling; a text: it can't be scraped, and why. */
function makeTarget(job: ScrapeJob, labels: LabelMap, hasTenancy: boolean): Target | string | undefined {
  const discovered = sorted(labels)
  if (!relabel(labels, job.relabelRules)) return undefined
  const address = labels.get('__address__') ?? ''
  if (address === '') return 'no address'
  if (address.includes('/')) return `${quote(maskUrls(`//${address}`).slice(2))} is not a valid hostname`
  const intervalText = labels.get('__scrape_interval__') ?? ''
  const timeoutText = labels.get('__scrape_timeout__') ?? ''
  const intervalMs = parseDurationMs(intervalText)
  const timeoutMs = parseDurationMs(timeoutText)
  if (intervalMs === undefined || intervalMs === 0) return `error parsing scrape interval: ${quote(intervalText)}`
  if (timeoutMs === undefined || timeoutMs === 0) return `error parsing scrape timeout: ${quote(timeoutText)}`
  if (timeoutMs > intervalMs)
    return `scrape timeout cannot be greater than scrape interval (${quote(timeoutText)} > ${quote(intervalText)})`
  const scheme = labels.get('__scheme__') ?? ''
  if (scheme !== 'http' && scheme !== 'https') return `unsupported scheme: ${quote(scheme)}`
  if ((labels.get('instance') ?? '') === '') labels.set('instance', withoutUser(address))
  const url = urlOf(job, labels)
  if (!URL.canParse(url)) return `${quote(maskUrl(url))} is no URL`
  const own = sorted(labels).filter(([name]) => !name.startsWith('__'))
  const named = hasTenancy && !job.isTenantFixed ? (labels.get(tenantLabel) ?? '') : ''
  const tenant = named === '' ? job.tenant : named
  const key = JSON.stringify([url, own, intervalMs, timeoutMs, ...(hasTenancy ? [tenant] : [])])
  const problem = hasTenancy ? problemOf(tenant) : ''
  return { key, labels: own, discovered, url, intervalMs, timeoutMs, tenant, problem }
}

function problemOf(tenant: string): string {
  try {
    // An agent's remotes say whose samples without a tenant are.
    if (tenant !== '') checkTenantName(tenant)
    return ''
  } catch (error) {
    return messageOf(error)
  }
}

/** Targets of a job, each once. `hasTenancy`: the label `__tenant_id__` says whose a target's series are. */
export function makeTargets(job: ScrapeJob, groups: readonly TargetGroup[], hasTenancy = false): TargetSet {
  const active = new Map<string, Target>()
  const set: TargetSet = { active: [], dropped: [], problems: [] }
  for (const group of groups) {
    for (const own of group.targets) {
      const labels = discoveredLabels(job, group, own, hasTenancy)
      const discovered = sorted(labels)
      const made = makeTarget(job, labels, hasTenancy)
      if (typeof made === 'object') active.set(made.key, made)
      else if (made === undefined) set.dropped.push(discovered)
      else {
        set.problems.push(`${group.source}: ${made}`)
        set.dropped.push(discovered)
      }
    }
  }
  set.active = [...active.values()]
  return set
}
