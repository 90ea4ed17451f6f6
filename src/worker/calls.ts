/** What the main thread and its workers ask each other. All of it can be cloned. */
import type { ObjectInfo } from '#bucket/bucket.ts'
import type { OverridesTable } from '#core/overrides.ts'
import type { SignalName } from '#core/signal-name.ts'
import type {
  ChunkAnswer,
  ChunkQuestion,
  ErasedChunk,
  ErasePlan,
  IndexOutcome,
  IndexPlan,
  UnorderedChunk,
  VerifiedChunk,
} from '#logs/block-building.ts'
import type { ClosedChunk } from '#logs/closed-chunk.ts'
import type { LogsPlan, LogsPlanAsk } from '#logs/door.ts'
import type { IndexedChunk } from '#logs/index-file.ts'
import type { BlockProblem, BlockToMerge } from '#metrics/block-building.ts'
import type { BlockMeta as MetricsBlockMeta } from '#metrics/block-meta.ts'
import type { Changes } from '#metrics/change-log.ts'
import type {
  ChangesAsk,
  DamageNote,
  MetricsPlan,
  MetricsTexts,
  PlacedBlock,
  PlanAsk,
  TextsAsk,
} from '#metrics/door.ts'
import type { HeadColumns } from '#metrics/head-columns.ts'
import type { MergedBlock, WrittenRange } from '#metrics/merge.ts'
import type { MetricsFacts } from '#metrics/select.ts'
import type { Grant } from '#net/access.ts'
import type { DamagedBlock } from '#store/damage.ts'
import type { FirstBlockPlan, MergedBlocks } from '#traces/block-building.ts'
import type { BlockMeta as TracesBlockMeta } from '#traces/block-meta.ts'
import type { BlockPlan, BuiltBlock } from '#traces/block-writer.ts'
import type { CarriedTraces } from '#traces/carried-traces.ts'
import type { DistantTracePlan, DistantTracesPlan, TraceAsk, TracesDamage, TracesPlanAsk } from '#traces/door.ts'
import type { BodyKind, DecodedBody, DecodeOptions } from '#wire/decode-body.ts'
import type { ThreadCalls, ThreadReports } from './pool.ts'
import type { CarriedSample, RuleQuery, RuleTenants } from './rules.ts'

/** A request as a worker gets it. */
export interface CarriedRequest {
  /** The job, for `pull` and `cancel`. */
  id: number
  method: string
  path: string
  /** The path of the route, which names it with the method. */
  route: string
  params: Readonly<Record<string, string>>
  query: string
  headers: readonly (readonly [name: string, value: string])[]
  grant: Grant
  /** Parameters of URL and body, where the body is a form. */
  form: string | undefined
  /** Any other body, unpacked. */
  body: Uint8Array | undefined
}

/** A reply, with all of its body or the first part. */
export interface CarriedReply {
  status: number
  headers: Readonly<Record<string, string>> | undefined
  body: Uint8Array | undefined
  /** The body was a text. */
  isText: boolean
  /** Memory that the reply holds until it is sent, beside its body. */
  heldBytes: number | undefined
  /** The rest of the body is pulled. */
  hasMore: boolean
  /** The answer lacks something. */
  isIncomplete: boolean
  /** It was answered from what was kept. */
  isKept: boolean
  /** How long the worker was at it, from the request to this reply. */
  workMs: number
}

/** The query of a rule. */
export interface RuleAsk {
  /** The job. */
  id: number
  query: RuleQuery
  atMs: number
  tenants: RuleTenants
}

/** A call of a gRPC service. */
export interface GrpcAsk {
  /** The job. */
  id: number
  method: string
  message: Uint8Array
  /** The header X-Scope-OrgID. */
  tenant: string | undefined
  grant: Grant
}

/** A range of a head becomes a block in a directory. */
export interface MetricsWriteAsk {
  directory: string
  columns: HeadColumns
}

/** Blocks become one in a directory. */
export interface MetricsMergeAsk {
  directory: string
  tenant: string
  blocks: readonly BlockToMerge[]
}

/** Idle traces become a block. */
export interface TracesFirstAsk {
  plan: FirstBlockPlan
  segments: readonly CarriedTraces[]
  leftOut: ReadonlySet<string> | undefined
}

/** A body, and how it is decoded. */
export interface DecodeAsk {
  kind: BodyKind
  bytes: Uint8Array
  options: DecodeOptions
}

/** Work in the background. */
export type BuildingCalls = {
  metricsWrite: { ask: MetricsWriteAsk; answer: WrittenRange }
  metricsMerge: { ask: MetricsMergeAsk; answer: MergedBlock }
  metricsVerify: { ask: { tenant: string; block: BlockToMerge }; answer: BlockProblem | undefined }
  logsRewrite: { ask: IndexPlan; answer: IndexOutcome }
  logsChunks: { ask: ChunkQuestion; answer: ChunkAnswer }
  logsOrder: { ask: UnorderedChunk; answer: ClosedChunk }
  logsErase: { ask: ErasePlan; answer: ErasedChunk }
  logsVerify: { ask: { tenant: string; chunk: IndexedChunk }; answer: VerifiedChunk }
  tracesFirst: { ask: TracesFirstAsk; answer: BuiltBlock | undefined }
  tracesMerge: { ask: { plan: BlockPlan; inputs: readonly TracesBlockMeta[] }; answer: MergedBlocks }
  tracesVerify: { ask: TracesBlockMeta; answer: undefined }
}

export type WorkerCalls = ThreadCalls &
  BuildingCalls & {
    decode: { ask: DecodeAsk; answer: DecodedBody }
    request: { ask: CarriedRequest; answer: CarriedReply }
    rule: { ask: RuleAsk; answer: CarriedSample[] }
    grpc: { ask: GrpcAsk; answer: Uint8Array }
    /** Limits and retention of single tenants are these from now on. */
    overrides: { ask: OverridesTable; answer: undefined }
    /** The next part of a body; undefined at its end. */
    pull: { ask: number; answer: Uint8Array | undefined }
  }

interface InBucket {
  signal: SignalName
  key: string
}

export type MainCalls = ThreadReports & {
  bucketGet: { ask: InBucket; answer: Uint8Array }
  bucketRange: { ask: InBucket & { offset: number; length: number }; answer: Uint8Array }
  bucketSize: { ask: InBucket; answer: number }
  bucketList: { ask: InBucket; answer: ObjectInfo[] }
  bucketDirectories: { ask: InBucket; answer: string[] }
  bucketEvict: { ask: InBucket; answer: undefined }
  metricsPlan: { ask: PlanAsk; answer: MetricsPlan }
  metricsChanges: { ask: ChangesAsk; answer: Changes }
  metricsTexts: { ask: TextsAsk; answer: MetricsTexts }
  metricsMetas: { ask: { tenant: string; ids: readonly string[] }; answer: (MetricsBlockMeta | undefined)[] }
  metricsFacts: { ask: string; answer: MetricsFacts }
  metricsDamage: { ask: DamageNote; answer: undefined }
  metricsLookAgain: { ask: { tenant: string; block: PlacedBlock }; answer: PlacedBlock | undefined }
  logsPlan: { ask: LogsPlanAsk; answer: LogsPlan }
  logsDamage: { ask: DamagedBlock; answer: undefined }
  tracesPlan: { ask: TracesPlanAsk; answer: DistantTracesPlan }
  tracesFind: { ask: TraceAsk; answer: DistantTracePlan }
  tracesReadable: { ask: TracesBlockMeta; answer: undefined }
  tracesDamage: { ask: TracesDamage; answer: undefined }
  tracesReplaced: { ask: TracesBlockMeta; answer: boolean }
}
