/** The metrics signal over a faulty disk and a faulty bucket: what was acknowledged is there, once. */
import './synchronous-zlib.ts'

const { testSeeds } = await import('./seeds.ts')
const { metrics } = await import('./metrics.ts')

testSeeds(metrics)
