/** Room that tenants share: whoever has less than an equal part of it is not kept out by those who have more. */

export class SharedRoom {
  readonly max: number
  #held = 0
  #shares = 0

  constructor(max: number) {
    this.max = max
  }

  /** What all have together. */
  get held(): number {
    return this.#held
  }

  /** Room of one more, until it leaves. */
  share(): RoomShare {
    this.#shares++
    return new RoomShare({
      // Equal parts are `max` together, so no more than twice that is ever held.
      isRoom: (own, more) => this.#held + more <= this.max || own + more <= this.max / this.#shares,
      change: by => {
        this.#held += by
      },
      leave: () => {
        this.#shares--
      },
    })
  }
}

interface Owner {
  isRoom(own: number, more: number): boolean
  change(by: number): void
  leave(): void
}

/** What one of several has of the room. */
export class RoomShare {
  readonly #owner: Owner
  #held = 0
  #hasLeft = false

  constructor(owner: Owner) {
    this.#owner = owner
  }

  isRoomFor(more: number): boolean {
    return this.#owner.isRoom(this.#held, more)
  }

  /** From now on it is so much. */
  hold(amount: number): void {
    if (this.#hasLeft) return
    this.#owner.change(amount - this.#held)
    this.#held = amount
  }

  leave(): void {
    if (this.#hasLeft) return
    this.hold(0)
    this.#hasLeft = true
    this.#owner.leave()
  }
}
