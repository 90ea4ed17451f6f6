/** What Prometheus' API tells of the process itself: features, notifications, own metrics. */
import { featuresOf } from '#api/prometheus/features.ts'
import { Notifications } from '#api/prometheus/notifications.ts'
import { prometheusDialect, success } from '#api/prometheus/respond.ts'
import { selfMetrics } from '#api/prometheus/self-metrics.ts'
import { known, readsProcess } from '#net/access.ts'
import { allowing, route } from '#net/route-table.ts'
import { supportedDiscoveries } from '#scrape/discovery/settings.ts'
import type { Context } from '../context.ts'
import { makePart, type Part } from '../part.ts'
import type { Process } from '../role.ts'

export function makeSelfApi({ config, world }: Context, own: Pick<Process, 'registry' | 'warnings'>): Part {
  const notifications = new Notifications(world.clock, () => own.warnings())
  const reloadMs = config.durationMs('files_check_interval')
  const features = featuresOf(reloadMs > 0 && reloadMs < Infinity, supportedDiscoveries)
  const routes = [
    ...allowing(known, [route(['GET'], '/api/v1/features', () => Promise.resolve(success(JSON.stringify(features))))]),
    route(['GET'], '/api/v1/notifications', notifications.list),
    route(['GET'], '/api/v1/notifications/live', notifications.live),
    route(['GET'], '/api/v1/status/self_metrics', request => selfMetrics(own.registry, request)),
  ]
  return makePart({ name: 'self API', routes: allowing(readsProcess, prometheusDialect(routes)) })
}
