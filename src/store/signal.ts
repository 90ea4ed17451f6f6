/** What the process needs of each signal, whatever it stores. The three engines implement it; app/ drives it. */

/** One block, or what comes closest to one, for people to look at. */
export interface BlockSummary {
  tenant: string
  id: string
  startMs: number
  endMs: number
  bytes: number
  level: number
  count: number
  unit: string
}

export interface SignalStatus {
  /** Bytes accepted that are not in the bucket yet: log and finished blocks. */
  backlogBytes: number
  blocks: number
  blockBytes: number
  /** Why nothing can be written, if so. */
  problem: string | undefined
}

export interface Signal {
  /** Reads back what is there, and begins the background work. */
  open(): Promise<void>
  /** Cuts every head into blocks and resolves when the bucket has them. */
  flush(): Promise<void>
  /** Finishes what was accepted and stops. */
  close(): Promise<void>
  status(): SignalStatus
  blockList(): BlockSummary[]
}
