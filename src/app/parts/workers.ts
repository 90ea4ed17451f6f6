/** Worker threads: started when they are asked, ended with the process. */
import { makePart, type Part } from '../part.ts'
import type { ServingContext } from '../workers.ts'

export function makeWorkers({ workers }: ServingContext): Part {
  return makePart({
    name: 'workers',
    metrics: registry => {
      workers.register(registry)
    },
    drain: () => {
      workers.endBuilding()
    },
    stop: () => {
      workers.close()
      return Promise.resolve()
    },
  })
}
