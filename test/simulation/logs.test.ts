/** The logs signal over a faulty disk and a faulty bucket: what was acknowledged is there, once. */
import './synchronous-zlib.ts'

const { testSeeds } = await import('./seeds.ts')
const { logs } = await import('./logs.ts')

testSeeds(logs)
