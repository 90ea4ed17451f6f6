/** Answers in pieces whose first piece is made before the answer begins: until then an error has its own status. */

/** The same pieces; rejects with what the first one fails by. */
export async function begun<T>(pieces: AsyncGenerator<T, void>): Promise<AsyncGenerator<T, void>> {
  const first = await pieces.next()
  return goOn(first, pieces)
}

async function* goOn<T>(first: IteratorResult<T, void>, rest: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
  if (first.done === true) return
  try {
    yield first.value
    yield* rest
  } finally {
    await rest.return()
  }
}
