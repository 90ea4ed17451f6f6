/**
 * Scrapes one target again and again. Source of the rules: Prometheus' public documentation of scraping and
 * staleness.
 */
import { outside, type Clock, type Timer } from '#core/clock.ts'
import { nextDueMs, timeOfRunMs } from '#core/due-time.ts'
import { BadDataError, LimitError, messageOf } from '#core/errors.ts'
import { addAll } from '#core/lists.ts'
import { keyOfTexts } from '#core/text.ts'
import { relabel } from '#lang/relabel/relabel.ts'
import type { MetricsAppender, MetricsAppendOutcome } from '#metrics/append.ts'
import type { FloatHistogram } from '#model/histogram.ts'
import { isLegacyLabelName, isLegacyMetricName, Labels } from '#model/labels.ts'
import { BatchBuilder, type Metadata } from '#model/write-batch.ts'
import type { HttpClient } from '#net/http-client.ts'
import { scanProtobuf } from '#wire/prometheus-proto/scan.ts'
import { CustomBuckets } from '#wire/prometheus-text/custom-buckets.ts'
import { scanExposition, type ScrapedExemplar, type ScrapeSink } from '#wire/prometheus-text/scan.ts'
import type { NameEscaping, ScrapeJob, ScrapeProtocol } from './config.ts'
import type { LabelTable } from './label-table.ts'
import { SeriesCache } from './series-cache.ts'
import type { Target } from './target.ts'

/** What a loop scrapes with and writes to. */
export interface ScrapeWorld {
  clock: Clock
  appender: MetricsAppender
  /** Bytes of a body where the job sets no limit of its own. */
  bodyBytesMax: number
  version: string
  /** Builders that no scrape uses now; they are used again, so that their room is allocated once. */
  builders: BatchBuilder[]
  /** Of the series of all targets. */
  labels: LabelTable
}

/** Builders that are kept for the next scrapes; more were used only while targets were slow. */
const keptBuilders = 4

/** The outcome of a target's last scrape. */
export interface ScrapeState {
  health: 'unknown' | 'up' | 'down'
  lastError: string
  lastScrapeMs: number
  lastDurationMs: number
  lastSamples: number
  lastBodyBytes: number
}

const lowestSchema = -4
const highestSchema = 8
const staleHi = 0x7ff00000
const staleLo = 2
const acceptOf: Readonly<Record<ScrapeProtocol, string>> = {
  PrometheusProto: 'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited',
  'OpenMetricsText1.0.0': 'application/openmetrics-text;version=1.0.0',
  'OpenMetricsText0.0.1': 'application/openmetrics-text;version=0.0.1',
  'PrometheusText1.0.0': 'text/plain;version=1.0.0',
  'PrometheusText0.0.4': 'text/plain;version=0.0.4',
}

/** Forms that can say how names are to be escaped. */
const escapable = new Set<ScrapeProtocol>(['OpenMetricsText1.0.0', 'PrometheusText1.0.0'])

/** The protocols in their order of preference, as Prometheus writes them. */
export function acceptHeader(protocols: readonly ScrapeProtocol[], escaping: NameEscaping): string {
  const parts = protocols.map((protocol, i) => {
    const form = acceptOf[protocol] + (escapable.has(protocol) ? `;escaping=${escaping}` : '')
    return `${form};q=0.${protocols.length + 1 - i}`
  })
  return [...parts, '*/*;q=0.1'].join(',')
}

type BodyKind = 'text' | 'openmetrics' | 'protobuf'

function kindOf(contentType: string | undefined, fallback: ScrapeProtocol | undefined): BodyKind {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (type === 'application/openmetrics-text') return 'openmetrics'
  if (type === 'text/plain') return 'text'
  if (type === 'application/vnd.google.protobuf') return 'protobuf'
  if (fallback === undefined) {
    const fault =
      type === ''
        ? 'non-compliant scrape target sending blank Content-Type'
        : `received unsupported Content-Type ${JSON.stringify(contentType)}`
    throw new BadDataError(`${fault} and no fallback_scrape_protocol specified for target`)
  }
  return fallback === 'PrometheusProto' ? 'protobuf' : fallback.startsWith('OpenMetrics') ? 'openmetrics' : 'text'
}

/** Values of the target's own that collide with its target labels: they move aside, short names first. */
function moveAside(labels: Map<string, string>, moved: readonly [string, string][]): void {
  for (const [name, value] of moved.toSorted(([a], [b]) => a.length - b.length)) {
    let aside = `exported_${name}`
    while ((labels.get(aside) ?? '') !== '') aside = `exported_${aside}`
    labels.set(aside, value)
  }
}

function areLegacyNames({ pairs }: Labels): boolean {
  for (let i = 0; i < pairs.length; i += 2) {
    const [name, value] = [pairs[i]!, pairs[i + 1]!]
    if (!(name === '__name__' ? isLegacyMetricName(value) : isLegacyLabelName(name))) return false
  }
  return true
}

const bucketsOf = ({ positive, negative }: FloatHistogram): number => positive.count.length + negative.count.length

/** The histogram with as many buckets as the job allows; undefined: it can't have so few. */
function fitted(histogram: FloatHistogram, job: ScrapeJob): FloatHistogram | undefined {
  const { histogramBucketLimit: most, histogramSchemaMax } = job
  const isOver = (): boolean => most > 0 && bucketsOf(histogram) > most
  if (histogram.usesCustomBuckets) return isOver() ? undefined : histogram
  // Another schema is refused where the sample is taken in.
  if (histogram.schema < lowestSchema || histogram.schema > highestSchema) return histogram
  if (histogram.schema > histogramSchemaMax) histogram.reduceTo(histogramSchemaMax)
  while (isOver()) {
    if (histogram.schema <= lowestSchema) return undefined
    histogram.reduceTo(histogram.schema - 1)
  }
  return histogram
}

/** Fills a batch from a body. */
class ScrapeBatch implements ScrapeSink {
  readonly #job: ScrapeJob
  readonly #target: Target
  readonly #cache: SeriesCache
  readonly #scrape: number
  readonly #timeMs: number
  readonly builder: BatchBuilder
  scraped = 0
  kept = 0
  created = 0
  /** Did a histogram have more buckets than the job allows? The others are counted all the same. */
  isOverBuckets = false
  metadataOf: Metadata[] = []
  /** Numbers in the batch of the series of this scrape. */
  readonly #inBatch = new Map<number, number>()

  constructor(
    job: ScrapeJob,
    target: Target,
    cache: SeriesCache,
    scrape: number,
    timeMs: number,
    builder: BatchBuilder,
  ) {
    this.#job = job
    this.#target = target
    this.#cache = cache
    this.#scrape = scrape
    this.#timeMs = timeMs
    this.builder = builder
  }

  find(hashA: number, hashB: number): number {
    return this.#cache.find(hashA, hashB)
  }

  add(hashA: number, hashB: number, pairs: [string, string][]): number {
    const labels = this.#labelsOf(pairs)
    if (labels !== undefined) {
      try {
        this.#check(labels)
      } catch (error) {
        this.scraped++
        throw error
      }
      this.created++
    }
    return this.#cache.add(hashA, hashB, labels)
  }

  #labelsOf(pairs: [string, string][]): Labels | undefined {
    const labels = new Map(pairs)
    const moved: [string, string][] = []
    for (const [name, value] of this.#target.labels) {
      const own = labels.get(name) ?? ''
      if (own === '' || !this.#job.honorLabels) labels.set(name, value)
      if (own !== '' && !this.#job.honorLabels) moved.push([name, own])
    }
    moveAside(labels, moved)
    if (this.#job.metricRelabelRules.length > 0 && !relabel(labels, this.#job.metricRelabelRules)) return undefined
    const made = Labels.from(labels)
    if (made.get('__name__') === '')
      throw new BadDataError(`a sample has no metric name after relabelling: ${JSON.stringify(pairs).slice(0, 200)}`)
    return made
  }

  #check(labels: Labels): void {
    const { labelLimit, labelNameLengthLimit, labelValueLengthLimit, nameValidation } = this.#job
    if (nameValidation === 'legacy' && !areLegacyNames(labels))
      throw new BadDataError(`invalid metric name or label names: ${labels.toString()}`)
    if (labelLimit > 0 && labels.size > labelLimit)
      throw new LimitError(
        `label_limit exceeded (metric: ${labels.get('__name__')}, number of labels: ${labels.size}, limit: ` +
          `${labelLimit})`,
        422,
      )
    for (let i = 0; i < labels.pairs.length && labelNameLengthLimit + labelValueLengthLimit > 0; i += 2) {
      const name = labels.pairs[i]!
      const value = labels.pairs[i + 1]!
      if (labelNameLengthLimit > 0 && name.length > labelNameLengthLimit)
        throw new LimitError(
          `label_name_length_limit exceeded (metric: ${labels.get('__name__')}, label name: ` +
            `${name.slice(0, 50)}, length: ${name.length}, limit: ${labelNameLengthLimit})`,
          422,
        )
      if (labelValueLengthLimit > 0 && value.length > labelValueLengthLimit)
        throw new LimitError(
          `label_value_length_limit exceeded (metric: ${labels.get('__name__')}, label name: ` +
            `${name.slice(0, 50)}, length: ${value.length}, limit: ${labelValueLengthLimit})`,
          422,
        )
    }
  }

  /** The series' number in the batch; undefined: it is dropped. */
  #seriesOf(series: number, isTracked: boolean): number | undefined {
    this.scraped++
    if (this.#cache.isDropped(series)) {
      this.#cache.see(series, this.#scrape)
      return undefined
    }
    this.kept++
    // Samples over the limit are counted: the error says how many there were.
    if (this.isOver) return undefined
    if (isTracked) this.#cache.see(series, this.#scrape)
    let number = this.#inBatch.get(series)
    if (number === undefined) {
      this.#inBatch.set(series, (number = this.#cache.addTo(this.builder, series)))
    }
    return number
  }

  sample(series: number, value: number, timeMs: number | undefined, exemplar: ScrapedExemplar | undefined): void {
    const isOwnTime = timeMs !== undefined && this.#job.honorTimestamps
    const number = this.#seriesOf(series, !isOwnTime || this.#job.trackTimestampsStaleness)
    if (number === undefined) return
    const at = isOwnTime ? timeMs : this.#timeMs
    this.builder.batch.addSample(number, at, value)
    if (exemplar !== undefined)
      this.builder.batch.exemplars.push({
        series: number,
        labels: exemplar.labels,
        value: exemplar.value,
        timeMs: exemplar.timeMs ?? at,
      })
  }

  histogram(
    series: number,
    histogram: FloatHistogram,
    timeMs: number | undefined,
    exemplars: readonly ScrapedExemplar[],
  ): void {
    const isOwnTime = timeMs !== undefined && this.#job.honorTimestamps
    const number = this.#seriesOf(series, !isOwnTime || this.#job.trackTimestampsStaleness)
    if (number === undefined) return
    const at = isOwnTime ? timeMs : this.#timeMs
    const kept = fitted(histogram, this.#job)
    if (kept === undefined) this.isOverBuckets = true
    else this.builder.batch.addHistogram(number, at, 0, kept)
    for (const e of exemplars)
      this.builder.batch.exemplars.push({ series: number, labels: e.labels, value: e.value, timeMs: e.timeMs ?? at })
  }

  refuse(series: number, problem: string): void {
    const number = this.#seriesOf(series, false)
    if (number !== undefined) this.builder.batch.refuseHistogram(number, problem)
  }

  get isOver(): boolean {
    return this.#job.sampleLimit > 0 && this.kept > this.#job.sampleLimit
  }

  metadata(metadata: Metadata): void {
    this.metadataOf.push(metadata)
  }
}

/** Series of every scrape. */
const reported = [
  'up',
  'scrape_duration_seconds',
  'scrape_samples_scraped',
  'scrape_samples_post_metric_relabeling',
  'scrape_series_added',
]
/** Series of scrapes of jobs that ask for them. */
const reportedBeside = ['scrape_timeout_seconds', 'scrape_sample_limit', 'scrape_body_size_bytes']

/** What one scrape brought. */
interface Scraped {
  batch: ScrapeBatch
  scrape: number
  timeMs: number
  seconds: number
  bodyBytes: number
}

/** One target, scraped at its own place in the interval from `start` to `stop`. */
export class ScrapeLoop {
  readonly target: Target
  readonly state: ScrapeState = {
    health: 'unknown',
    lastError: '',
    lastScrapeMs: 0,
    lastDurationMs: 0,
    lastSamples: 0,
    lastBodyBytes: 0,
  }
  readonly #job: ScrapeJob
  readonly #client: HttpClient
  readonly #world: ScrapeWorld
  readonly #cache: SeriesCache
  readonly #customBuckets: CustomBuckets | undefined
  /** Scrapes are numbered from 2: 0 and 1 mean none. */
  #scrape = 1
  /** The last scrape whose series are in the store. */
  #lastGood = 0
  #metadata = ''
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  readonly #stopping = new AbortController()
  #lastTimeMs = 0
  /** Of the last scrape that was stored: samples that were not, beside those that were. */
  #refusalNote = ''
  /** Why the target may not be scraped; empty: it may. */
  refusal = ''

  constructor(target: Target, job: ScrapeJob, client: HttpClient, world: ScrapeWorld) {
    this.target = target
    this.#job = job
    this.#client = client
    this.#world = world
    this.#cache = new SeriesCache(world.labels)
    this.#customBuckets = job.customBuckets ? new CustomBuckets(job.classicHistograms) : undefined
  }

  start(): void {
    const { problem } = this.target
    // Where it is not known whose they are, no series say that it is down.
    if (problem === '') this.#arm()
    else Object.assign(this.state, { health: 'down', lastError: problem })
  }

  /** Targets are spread over their interval, each always at the same place in it. */
  #arm(): void {
    if (this.#stopping.signal.aborted) return
    const { intervalMs } = this.target
    const { clock } = this.#world
    const nowMs = clock.nowMs()
    const due = nextDueMs(this.target.key, intervalMs, nowMs)
    this.#timer = clock.after(due - nowMs, () => {
      // Timers may be early by a little: the scrape's time is the one that was planned.
      this.#running = outside(clock, this.#once(timeOfRunMs(due, intervalMs, clock.nowMs()))).finally(() => {
        this.#running = undefined
        this.#arm()
      })
    })
  }

  async #once(timeMs: number): Promise<void> {
    const { clock, builders } = this.#world
    const started = clock.monotonicMs()
    let problem = ''
    let fetched: { body: Uint8Array; kind: BodyKind } | undefined
    try {
      if (this.refusal !== '') throw new LimitError(this.refusal, 422)
      fetched = await this.#fetch()
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      problem = messageOf(error)
    }
    // Not before the answer is there: targets that are slow hold no room.
    const builder = builders.pop() ?? new BatchBuilder()
    builder.clear()
    const scrape = this.#scrape + 1
    const batch = new ScrapeBatch(this.#job, this.target, this.#cache, scrape, timeMs, builder)
    const bodyBytes = fetched?.body.length ?? 0
    try {
      if (fetched !== undefined) this.#scan(fetched.body, fetched.kind, batch)
    } catch (error) {
      problem = messageOf(error)
      builder.clear()
    }
    fetched = undefined
    this.#scrape = scrape
    const seconds = (clock.monotonicMs() - started) / 1000
    problem = await this.#store({ batch, scrape, timeMs, seconds, bodyBytes }, problem)
    Object.assign(this.state, {
      health: problem === '' ? 'up' : 'down',
      // A target is up though some of its samples are refused.
      lastError: problem === '' ? this.#refusalNote : problem,
      lastScrapeMs: timeMs,
      lastDurationMs: seconds * 1000,
      lastSamples: batch.scraped,
      lastBodyBytes: bodyBytes,
    })
  }

  /** Fills the batch. Throws BadDataError and LimitError; the batch may be filled in part then. */
  #scan(body: Uint8Array, kind: BodyKind, batch: ScrapeBatch): void {
    const { nativeHistograms, classicHistograms, sampleLimit } = this.#job
    const sink = this.#customBuckets?.begin(batch, kind === 'openmetrics') ?? batch
    if (kind === 'protobuf')
      scanProtobuf(body, { isNative: nativeHistograms, isClassicToo: classicHistograms, unconverted: batch }, sink)
    else scanExposition(body, kind === 'openmetrics', sink)
    this.#customBuckets?.end()
    if (batch.isOver) throw new LimitError(`sample limit exceeded: ${batch.kept} samples, limit: ${sampleLimit}`, 422)
    if (batch.isOverBuckets)
      throw new LimitError(`native_histogram_bucket_limit exceeded: ${this.#job.histogramBucketLimit} buckets`, 422)
  }

  /** Appends the samples, staleness markers and the scrape's own series. Returns the first problem. */
  async #store(scraped: Scraped, scrapeProblem: string): Promise<string> {
    const { batch, scrape, timeMs, seconds, bodyBytes } = scraped
    const { builder } = batch
    let problem = scrapeProblem
    const isUp = problem === ''
    for (const series of this.#cache.vanished(this.#lastGood, isUp ? scrape : 0))
      this.#markStale(builder, series, timeMs)
    if (isUp) this.#noteMetadata(builder, batch.metadataOf)
    this.#report(builder, timeMs, {
      up: isUp ? 1 : 0,
      scrape_duration_seconds: seconds,
      scrape_samples_scraped: batch.scraped,
      scrape_samples_post_metric_relabeling: batch.kept,
      scrape_series_added: isUp ? batch.created : 0,
      scrape_timeout_seconds: this.target.timeoutMs / 1000,
      scrape_sample_limit: this.#job.sampleLimit,
      scrape_body_size_bytes: isUp ? bodyBytes : -1,
    })
    try {
      const { refusals } = builder.batch
      const { refused, problems } = await this.#append(builder)
      const first = problems[0]?.message ?? refusals[0]?.message
      this.#refusalNote =
        first === undefined ? '' : `${refused + refusals.length} samples were refused; the first: ${first}`
      this.#lastGood = isUp ? scrape : 0
    } catch (error) {
      problem ||= messageOf(error)
    }
    this.#lastTimeMs = timeMs
    if (isUp) this.#cache.sweep(scrape)
    return problem
  }

  /** The builder is for other scrapes again as soon as the appender has done with its batch. */
  #append(builder: BatchBuilder): Promise<MetricsAppendOutcome> {
    const { appender, builders } = this.#world
    const giveBack = (): void => {
      if (builders.length < keptBuilders) builders.push(builder)
    }
    const appended = appender.append(this.target.tenant, builder.batch)
    if (appender.readsAtOnce !== true) return appended.finally(giveBack)
    giveBack()
    return appended
  }

  async #fetch(): Promise<{ body: Uint8Array; kind: BodyKind }> {
    const { protocols, nameEscaping, bodySizeLimit, enableCompression, fallbackProtocol } = this.#job
    const { timeoutMs, url } = this.target
    const reply = await this.#client.send(url, {
      headers: {
        accept: acceptHeader(protocols, nameEscaping),
        'user-agent': `Tercet/${this.#world.version}`,
        'x-prometheus-scrape-timeout-seconds': String(timeoutMs / 1000),
        ...(enableCompression ? {} : { 'accept-encoding': 'identity' }),
      },
      timeoutMs,
      bodyBytesMax: bodySizeLimit > 0 ? bodySizeLimit : this.#world.bodyBytesMax,
      signal: this.#stopping.signal,
    })
    if (reply.status !== 200) throw new BadDataError(`server returned HTTP status ${reply.status}`)
    return { body: reply.body, kind: kindOf(reply.header('content-type'), fallbackProtocol) }
  }

  #markStale(builder: BatchBuilder, series: number, timeMs: number): void {
    builder.batch.addSampleWords(this.#cache.addTo(builder, series), timeMs, staleHi, staleLo)
  }

  #noteMetadata(builder: BatchBuilder, metadata: readonly Metadata[]): void {
    const text = keyOfTexts(metadata.flatMap(m => [m.metric, m.type, m.unit, m.help]))
    if (text === this.#metadata) return
    this.#metadata = text
    addAll(builder.batch.metadata, metadata)
  }

  #report(builder: BatchBuilder, timeMs: number, values: Readonly<Record<string, number>> | undefined): void {
    for (const name of this.#job.extraMetrics ? [...reported, ...reportedBeside] : reported) {
      const series = builder.addSeries(Labels.from([...this.target.labels, ['__name__', name]]))
      if (values === undefined) builder.batch.addSampleWords(series, timeMs, staleHi, staleLo)
      else builder.batch.addSample(series, timeMs, values[name]!)
    }
  }

  /** With `isGone` the target is removed: its series end with staleness markers. */
  async stop(isGone: boolean): Promise<void> {
    this.#timer?.cancel()
    this.#stopping.abort()
    await this.#running
    if (isGone && this.#lastTimeMs > 0) await this.#end()
    this.#cache.close()
  }

  async #end(): Promise<void> {
    const builder = new BatchBuilder()
    const timeMs = Math.max(this.#lastTimeMs + 1, this.#world.clock.nowMs())
    for (const series of this.#cache.vanished(this.#lastGood, 0)) this.#markStale(builder, series, timeMs)
    this.#report(builder, timeMs, undefined)
    try {
      await this.#world.appender.append(this.target.tenant, builder.batch)
    } catch {
      // The series are stale by themselves after the look-back.
    }
  }
}
