/** Calls of the real world under a clock that is advanced by hand. */
import { outside, type Clock } from '#core/clock.ts'

/** The same object; while a promise that one of its methods gave is open, the clock stands still. */
export function holdingTime<T extends object>(target: T, clock: Pick<Clock, 'hold'>): T {
  return new Proxy(target, {
    get(object, name) {
      const member: unknown = Reflect.get(object, name, object)
      if (typeof member !== 'function') return member
      return (...args: unknown[]): unknown => {
        const result: unknown = Reflect.apply(member, object, args)
        return result instanceof Promise ? outside(clock, result) : result
      }
    },
  })
}
