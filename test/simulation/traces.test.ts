/** The traces signal over a faulty disk and a faulty bucket: what was acknowledged is there, once. */
import './synchronous-zlib.ts'

const { testSeeds } = await import('./seeds.ts')
const { traces } = await import('./traces.ts')

testSeeds(traces)
