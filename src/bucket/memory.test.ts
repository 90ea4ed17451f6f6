import { systemClock } from '#core/clock.ts'
import { systemFiles } from '#core/files.ts'
import { bucketSuite } from './bucket-suite.ts'
import { MemoryBucket } from './memory.ts'

bucketSuite('memory', async () => new MemoryBucket(systemClock, systemFiles), 20_000_000)
