/**
 * Faults to be found: each is a place in a file of `src` and what is put there as the file is loaded. Nothing in `src`
 * knows of them.
 */
export interface Plant {
  /** The signal whose simulation is to find it. */
  signal: 'metrics' | 'logs' | 'traces'
  file: string
  text: string
  planted: string
}

export const plants = {
  /** Series and streams that were set up for records which the log lost still count as defined. */
  'mark-before-write': {
    signal: 'logs',
    file: 'src/store/wal.ts',
    text: '    this.#options.onLost()\n',
    planted: '',
  },
  /** Samples of series that were never defined in the log. */
  'keep-what-was-lost': {
    signal: 'metrics',
    file: 'src/metrics/engine.ts',
    text: '    for (const tenant of this.#tenants.values()) tenant.takeBack()\n',
    planted: '',
  },
  /** What lies in the bucket counts as kept, whoever has the prefix by then. */
  'skip-a-fence-check': {
    signal: 'traces',
    file: 'src/store/wal-segments.ts',
    text: 'return await this.#options.confirmKept(isForeign)',
    planted: 'return',
  },
  /** A block says that it covers one record more than it does. */
  'through-one-too-high': {
    signal: 'metrics',
    file: 'src/store/wal.ts',
    text: 'coverage.set(this.writer, this.#nextShown - 1)',
    planted: 'coverage.set(this.writer, this.#nextShown)',
  },
} as const satisfies Record<string, Plant>

export type PlantName = keyof typeof plants
