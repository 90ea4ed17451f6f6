/** Tercet's own metrics: plain numbers in objects, registered once, printed in the Prometheus text format. */

export type LabelValues = Readonly<Record<string, string>>

export class Counter {
  value = 0
  add(amount: number): void {
    this.value += amount
  }
  increment(): void {
    this.value += 1
  }
}

export class Gauge {
  value = 0
  set(value: number): void {
    this.value = value
  }
}

/** A histogram with fixed upper bounds, in the unit of its name (seconds for `..._seconds`). */
export class Distribution {
  readonly bounds: readonly number[]
  readonly counts: Float64Array
  sum = 0
  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }
  observe(value: number): void {
    let i = 0
    while (i < this.bounds.length && value > this.bounds[i]!) i++
    this.counts[i]!++
    this.sum += value
  }
}

type Metric = Counter | Gauge | Distribution | (() => number)

/** A metric as it is at one moment. */
export interface ShownMetric {
  labels: LabelValues
  /** Of a histogram undefined. */
  value?: number
  histogram?: { bounds: readonly number[]; counts: Float64Array; sum: number }
}

/** Metrics of one name. */
export interface ShownFamily {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  metrics: ShownMetric[]
}

interface Family {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  members: { labels: LabelValues; metric: Metric }[]
  /** Members that come and go. */
  changing: (() => readonly ShownValue[])[]
}

/** A value, with the labels that it has now. */
export interface ShownValue {
  labels: LabelValues
  value: number
}

export class Registry {
  readonly #families = new Map<string, Family>()

  counter(name: string, help: string, labels: LabelValues = {}): Counter {
    return this.#add(name, help, 'counter', labels, new Counter())
  }
  gauge(name: string, help: string, labels: LabelValues = {}): Gauge {
    return this.#add(name, help, 'gauge', labels, new Gauge())
  }
  distribution(name: string, help: string, bounds: readonly number[], labels: LabelValues = {}): Distribution {
    return this.#add(name, help, 'histogram', labels, new Distribution(bounds))
  }
  /** A value that is read when it is printed. */
  read(name: string, help: string, type: 'counter' | 'gauge', read: () => number, labels: LabelValues = {}): void {
    this.#add(name, help, type, labels, read)
  }

  /** The same of several, whose labels may be others each time. */
  readMany(name: string, help: string, type: 'counter' | 'gauge', read: () => readonly ShownValue[]): void {
    this.#family(name, help, type).changing.push(read)
  }

  #add<M extends Metric>(name: string, help: string, type: Family['type'], labels: LabelValues, metric: M): M {
    this.#family(name, help, type).members.push({ labels, metric })
    return metric
  }

  #family(name: string, help: string, type: Family['type']): Family {
    let family = this.#families.get(name)
    if (family === undefined) this.#families.set(name, (family = { name, help, type, members: [], changing: [] }))
    return family
  }

  /** Every metric's value now. */
  *shown(): Generator<ShownFamily> {
    for (const { name, help, type, members, changing } of this.#families.values()) {
      const metrics = members.map(({ labels, metric }): ShownMetric => ({ labels, ...valueOf(metric) }))
      for (const read of changing) for (const shown of read()) metrics.push(shown)
      yield { name, help, type, metrics }
    }
  }

  /** The Prometheus text exposition, version 0.0.4. */
  expose(): string {
    let text = ''
    for (const family of this.#families.values()) {
      const { name, type, members } = family
      const help = family.help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
      text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
      for (const { labels, metric } of members) text += exposeMember(name, labels, metric)
      for (const read of family.changing)
        for (const { labels, value } of read()) text += exposeMember(name, labels, () => value)
    }
    return text
  }
}

function valueOf(metric: Metric): Omit<ShownMetric, 'labels'> {
  if (typeof metric === 'function') return { value: metric() }
  return metric instanceof Distribution ? { histogram: metric } : { value: metric.value }
}

function exposeMember(name: string, labels: LabelValues, metric: Metric): string {
  if (typeof metric === 'function') return `${name}${exposeLabels(labels)} ${formatValue(metric())}\n`
  if (!(metric instanceof Distribution)) return `${name}${exposeLabels(labels)} ${formatValue(metric.value)}\n`
  let text = ''
  let total = 0
  for (let i = 0; i < metric.counts.length; i++) {
    total += metric.counts[i]!
    const le = i < metric.bounds.length ? formatValue(metric.bounds[i]!) : '+Inf'
    text += `${name}_bucket${exposeLabels({ ...labels, le })} ${total}\n`
  }
  const shown = exposeLabels(labels)
  return `${text}${name}_sum${shown} ${formatValue(metric.sum)}\n${name}_count${shown} ${total}\n`
}

function exposeLabels(labels: LabelValues): string {
  const parts = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
  )
  return parts.length === 0 ? '' : `{${parts.join(',')}}`
}

function formatValue(value: number): string {
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}
