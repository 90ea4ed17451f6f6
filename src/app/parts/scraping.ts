/** Scraping: prometheus.yml's targets, and Prometheus' API of them. */
import { targetRoutes } from '#api/prometheus/targets.ts'
import type { MetricsAppender } from '#metrics/append.ts'
import type { Metadata } from '#model/write-batch.ts'
import type { PrometheusConfig } from '#scrape/config.ts'
import { tenantSetting, type Context } from '../context.ts'
import { outgoingGuard } from '../outgoing.ts'
import { makePart, type Part } from '../part.ts'
import { Scraping } from '../scraping.ts'
import { version } from '../version.ts'

export interface ScrapingPart extends Part {
  scraping: Scraping
}

export interface ScrapingPartOptions {
  appender: MetricsAppender
  /** Whose the series are where nothing says it. */
  tenant: string
  /** For /api/v1/targets/metadata. */
  metadata: (tenant: string) => ReadonlyMap<string, Metadata>
  /** The routes, as the role offers them. */
  offered: (routes: ReturnType<typeof targetRoutes>) => Part['routes']
  prepare?: (config: PrometheusConfig | undefined) => Promise<void>
}

const healths = ['up', 'down', 'unknown'] as const

export function makeScraping(context: Context, options: ScrapingPartOptions): ScrapingPart {
  const { config, world, env, isReader, tenancy } = context
  const { appender, metadata, offered, prepare } = options
  const scraping = new Scraping({
    guard: outgoingGuard(config),
    world,
    env,
    file: isReader ? '' : config.text('scrape_config_file'),
    appender,
    tenant: tenantSetting(context, 'scrape.tenant') || options.tenant,
    hasTenancy: tenancy.isOn,
    bodyBytesMax: config.bytes('limits.scrape_size'),
    version,
    ...(prepare === undefined ? {} : { prepare }),
  })
  const countOf = (health: (typeof healths)[number]): number =>
    scraping.active().filter(target => target.health === health).length
  const part = makePart({
    name: 'scraping',
    routes: offered(targetRoutes({ source: scraping, shownTo: tenancy.shownTo('metrics'), metadataOf: metadata })),
    metrics: registry => {
      const help = 'Targets by how their last scrape ended.'
      for (const health of healths)
        registry.read('tercet_scrape_targets', help, 'gauge', () => countOf(health), { health })
    },
    start: () => scraping.load(),
    stop: () => scraping.stop(),
    reload: () => scraping.load(),
  })
  return { ...part, scraping }
}
