/** Objects that are tables by name, where a name comes from outside: `constructor` and `__proto__` are names, too. */

/** The member `name` that the table itself has; undefined where only its prototype has it. */
export function ownOf<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined
}

/** Sets a member of its own, whatever its name: an assignment to `__proto__` would set none. */
export function setOwn<T>(object: Record<string, T>, name: string, value: T): void {
  if (name === '__proto__')
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
  else object[name] = value
}
