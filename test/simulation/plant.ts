/** node --import ./test/simulation/plant.ts: loads a file of `src` with the fault in it that PLANT names. */
import { registerHooks } from 'node:module'
import { plants, type Plant, type PlantName } from './plants.ts'

const name = process.env['PLANT'] ?? ''
if (!Object.hasOwn(plants, name)) throw new Error(`PLANT=${name}: must be one of ${Object.keys(plants).join(', ')}`)
const plant: Plant = plants[name as PlantName]

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context)
    if (!url.endsWith(`/${plant.file}`)) return loaded
    const source = String(loaded.source)
    if (source.split(plant.text).length !== 2) throw new Error(`${plant.file} must have this once: ${plant.text}`)
    return { ...loaded, source: source.replace(plant.text, plant.planted) }
  },
})
