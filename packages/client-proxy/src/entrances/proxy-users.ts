import { createHash, timingSafeEqual } from "node:crypto";

/** A password that only {@link reveal} shows. */
export interface Password {
  reveal(): string;
}

/** Who may use a proxy entrance. Takes as long for a wrong name as for a wrong password, however much of either is right. */
export class ProxyUsers {
  readonly #digests: ReadonlyMap<string, Buffer>;

  /** No users: nobody is asked. */
  constructor(users: ReadonlyMap<string, Password>) {
    this.#digests = new Map([...users].map(([name, secret]) => [name, digest(secret.reveal())]));
  }

  /** Whether clients have to say who they are. */
  get required(): boolean {
    return this.#digests.size > 0;
  }

  /** Whether a user of that name has that password; both as the bytes that came, UTF-8. */
  verify(name: Uint8Array, password: Uint8Array): boolean {
    const known = this.#digests.get(Buffer.from(name).toString("utf8"));
    const isSame = timingSafeEqual(digest(password), known ?? nobody);
    return known !== undefined && isSame;
  }
}

function digest(bytes: string | Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

const nobody = Buffer.alloc(32);
