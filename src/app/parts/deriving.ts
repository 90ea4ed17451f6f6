/** Metrics of spans and the service graph, made from the traces that are pushed and stored beside all other metrics. */
import { defaultTenants } from '#api/tenancy.ts'
import { Repeater } from '#core/clock.ts'
import { DerivedMetrics } from '#ingest/derived-metrics.ts'
import type { Trace } from '#model/trace.ts'
import { decodeSpan, spanSize } from '#wire/otlp/traces.ts'
import type { Context } from '../context.ts'
import { makePart, type Part } from '../part.ts'
import type { MetricsPart } from './metrics.ts'

export interface Deriving extends Part {
  /** Takes in what a push brought; synchronous. Undefined where `traces.derived_metrics` is off. */
  add: ((tenant: string, trace: Trace, message: Uint8Array) => void) | undefined
  /** The tenant is deleted. */
  forget: (tenant: string) => void
}

export function makeDeriving({ config, world, isReader, tenancy }: Context, metrics: MetricsPart): Deriving {
  const { clock, log } = world
  const isOn = config.isOn('traces.derived_metrics') && !isReader
  const derived = new DerivedMetrics({
    clock,
    log,
    metrics: metrics.engine,
    seriesMax: config.number('limits.derived_series'),
    hasTenancy: tenancy.isOn,
    isDeleted: tenant => metrics.engine.tenantsBeingDeleted().includes(tenant),
    sizeOf: spanSize,
    decode: decodeSpan,
  })
  let repeater: Repeater | undefined
  const part = makePart({
    name: 'metrics of traces',
    start: () => {
      if (isOn) repeater = new Repeater(clock, config.durationMs('metrics.scrape_interval'), () => derived.store())
      return Promise.resolve()
    },
    stop: async () => {
      await repeater?.stop()
    },
  })
  // Without tenancy each signal has a name of its own for its one tenant; with it the names of tenants are the same.
  const add = (tenant: string, trace: Trace, message: Uint8Array): void => {
    derived.add(tenancy.isOn ? tenant : defaultTenants.metrics, trace, message)
  }
  const forget = (tenant: string): void => {
    derived.forget(tenant)
  }
  return { ...part, add: isOn ? add : undefined, forget }
}
