/** Schemas of the values in CMG's bodies; what they accept is CMG's, what they describe is what comes out. */
import { z } from "zod";
import { booleanOf, integerOf } from "./lax.js";

/** NUL and halves of characters, which can stand neither in a command's argument nor in a URL. */
const UNUSABLE = /\0|\p{Surrogate}/u;

export const plainText = () =>
  z.string().refine((text) => !UNUSABLE.test(text), "NUL and half characters are not allowed");

export const laxBoolean = () =>
  z.preprocess((given) => {
    if (given === 0 || given === 1) return given === 1;
    return typeof given === "string" ? (booleanOf(given) ?? given) : given;
  }, z.boolean());

/** A whole number from `min` to `max`. */
export const laxInteger = (bounds: { readonly above?: number; readonly min?: number; readonly max: number }) => {
  const { above, min, max } = bounds;
  const bounded = z.int().max(max);
  const number = above !== undefined ? bounded.gt(above) : min !== undefined ? bounded.min(min) : bounded;
  return z.preprocess((given) => {
    if (typeof given === "boolean") return Number(given);
    return typeof given === "string" ? (integerOf(given) ?? given) : given;
  }, number);
};

/** The nulls CMG's clients send for what they do not mean, left out at every level. */
export function withoutNulls<Value>(value: Value): WithoutNulls<Value> {
  if (typeof value !== "object" || value === null) return value as WithoutNulls<Value>;
  const kept = Object.entries(value).filter(([, each]) => each !== null && each !== undefined);
  return Object.fromEntries(kept.map(([key, each]) => [key, withoutNulls(each)])) as WithoutNulls<Value>;
}

export type WithoutNulls<Value> = Value extends object
  ? { [Key in keyof Value]: WithoutNulls<Exclude<Value[Key], null | undefined>> }
  : Value;
