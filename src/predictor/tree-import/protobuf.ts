/**
 * As much of the protocol buffers wire format as an ONNX file needs: fields of a message, read lazily from bytes, and
 * messages written into bytes. https://protobuf.dev/programming-guides/encoding
 */

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** One field as it stands in the bytes. `bytes` is set for length-delimited fields, `number` for varints. */
export interface WireField {
  readonly field: number;
  readonly wire: number;
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** Damaged bytes; importers turn it into their sentence. */
export class WireError extends Error {}

const NO_BYTES = new Uint8Array(0);

/** The fields of one message in order. Throws a WireError when the bytes end too early or are no message. O(bytes). */
export function* wireFields(message: Uint8Array): Generator<WireField> {
  const reader = new WireReader(message);
  while (reader.at < message.length) {
    const key = reader.varint();
    const field = Math.floor(key / 8);
    const wire = key % 8;
    if (wire === VARINT) yield { field, wire, number: reader.varint(), bytes: NO_BYTES };
    else if (wire === LENGTH) yield { field, wire, number: 0, bytes: reader.take(reader.varint()) };
    else if (wire === FIXED64) yield { field, wire, number: 0, bytes: reader.take(8) };
    else if (wire === FIXED32) yield { field, wire, number: 0, bytes: reader.take(4) };
    else throw new WireError(`an unknown wire type ${wire}`);
  }
}

/** A repeated whole number, packed or not: appends what this field holds. */
export function appendIntegers(field: WireField, to: number[]): void {
  if (field.wire === VARINT) to.push(field.number);
  else if (field.wire === LENGTH) {
    const reader = new WireReader(field.bytes);
    while (reader.at < field.bytes.length) to.push(reader.varint());
  } else throw new WireError('a list of whole numbers of another kind');
}

/** A repeated float (width 4) or double (width 8), packed or not. */
export function appendReals(field: WireField, width: 4 | 8, to: number[]): void {
  const { bytes } = field;
  if (field.wire === VARINT || bytes.length % width !== 0)
    throw new WireError('a list of numbers of another kind');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; at += width) {
    to.push(width === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true));
  }
}

class WireReader {
  at = 0;
  constructor(private readonly bytes: Uint8Array) {}

  /** Whole numbers up to 2^53, and negative ones, which take all ten bytes. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new WireError('its bytes end within a number');
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) {
        if (i === 9) return this.negative();
        if (value > Number.MAX_SAFE_INTEGER) throw new WireError('a number beyond 2^53');
        return value;
      }
    }
    throw new WireError('a number of more than ten bytes');
  }

  /** The ten bytes just read as a signed 64-bit number. */
  private negative(): number {
    let value = 0n;
    for (let i = 0; i < 10; i++) value |= BigInt(this.bytes[this.at - 10 + i]! & 0x7f) << BigInt(7 * i);
    const signed = BigInt.asIntN(64, value);
    if (signed > 0n || signed < -BigInt(Number.MAX_SAFE_INTEGER)) throw new WireError('a number beyond 2^53');
    return Number(signed);
  }

  take(length: number): Uint8Array {
    if (this.at + length > this.bytes.length) throw new WireError('its bytes end within a field');
    const part = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return part;
  }
}

/** Builds one message; `finish` gives its bytes. Whole numbers must be >= 0. */
export class WireWriter {
  private bytes = new Uint8Array(256);
  private length = 0;

  integer(field: number, value: number): this {
    this.varint(field * 8 + VARINT);
    this.varint(value);
    return this;
  }

  text(field: number, value: string): this {
    return this.blob(field, new TextEncoder().encode(value));
  }

  message(field: number, message: WireWriter): this {
    return this.blob(field, message.finish());
  }

  /** Packed, as readers of both proto2 and proto3 take it. */
  integers(field: number, values: ArrayLike<number>): this {
    const packed = new WireWriter();
    for (let i = 0; i < values.length; i++) packed.varint(values[i]!);
    return this.blob(field, packed.finish());
  }

  /** Packed floats, little-endian. */
  floats(field: number, values: ArrayLike<number>): this {
    const view = new DataView(new ArrayBuffer(4 * values.length));
    for (let i = 0; i < values.length; i++) view.setFloat32(4 * i, values[i]!, true);
    return this.blob(field, new Uint8Array(view.buffer));
  }

  /** Packed doubles, little-endian. */
  doubles(field: number, values: ArrayLike<number>): this {
    const view = new DataView(new ArrayBuffer(8 * values.length));
    for (let i = 0; i < values.length; i++) view.setFloat64(8 * i, values[i]!, true);
    return this.blob(field, new Uint8Array(view.buffer));
  }

  blob(field: number, bytes: Uint8Array): this {
    this.varint(field * 8 + LENGTH);
    this.varint(bytes.length);
    return this.raw(bytes);
  }

  finish(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  private varint(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.byte((rest % 128) | 128);
      rest = Math.floor(rest / 128);
    }
    this.byte(rest);
  }

  private byte(value: number): void {
    this.room(1);
    this.bytes[this.length++] = value;
  }

  private raw(part: Uint8Array): this {
    this.room(part.length);
    this.bytes.set(part, this.length);
    this.length += part.length;
    return this;
  }

  private room(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.bytes.length, this.length + more));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }
}
