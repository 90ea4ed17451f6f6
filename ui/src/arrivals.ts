/** What has arrived from other programs: a process stores its own metrics and traces, which say nothing of that. */
import { get, number } from './api.ts'
import { short } from './format.ts'

export const signalNames = ['metrics', 'logs', 'traces'] as const

const foreignSeries = 'count({__name__=~".+", job!="tercet", __name__!~"traces_.*|ALERTS.*"})'
const serviceValues = '/api/v2/search/tag/resource.service.name/values'
const hourMs = 3_600_000

export async function loadServices(signal: AbortSignal): Promise<string[]> {
  const { tagValues = [] } = await get<{ tagValues?: { value: string }[] }>(serviceValues, {}, signal)
  return tagValues.map(({ value }) => value)
}

/** What has arrived of a signal from other programs; undefined: nothing yet. */
export async function arrivedOf(kind: string, signal: AbortSignal): Promise<string | undefined> {
  if (kind === 'metrics') {
    const count = await number(foreignSeries, signal)
    return count === undefined || count === 0 ? undefined : `${short(count)} series have arrived`
  }
  if (kind === 'logs') {
    const parameters = { 'match[]': '{service_name=~".+"}', start: `${Date.now() - hourMs}000000` }
    const { data = [] } = await get<{ data?: unknown[] }>('/loki/api/v1/series', parameters, signal)
    return data.length === 0 ? undefined : `${data.length} streams have arrived`
  }
  const services = (await loadServices(signal)).filter(name => name !== 'tercet')
  return services.length === 0 ? undefined : `spans of ${services.slice(0, 5).join(', ')} have arrived`
}

/** Has nothing of any signal arrived from others? */
export async function isEmptyStore(signal: AbortSignal): Promise<boolean> {
  const arrived = await Promise.all(signalNames.map(name => arrivedOf(name, signal)))
  return arrived.every(text => text === undefined)
}
