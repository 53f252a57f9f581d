/** Names of models as callers give them (reference cmg-api 3.3, widened as its quirk 19 advises). Pure. */
import { SluiceError } from "../../core/contract/errors.js";
import { MODEL_NAME } from "../../core/contract/models.js";

const LONGEST_NAME = 255;
/** Of what a caller sent, in an error. */
const LONGEST_SHOWN = 100;

/** @throws MODEL_NAME_INVALID */
export function checkModelName(name: string): void {
  if (MODEL_NAME.test(name)) return;
  const problem =
    name.length > LONGEST_NAME
      ? `Service name too long: ${name.length} characters, at most ${LONGEST_NAME} are allowed`
      : `Invalid model name '${shown(name)}': it begins with a letter or digit and holds letters, digits, '_', '.' and '-' alone`;
  throw new SluiceError("MODEL_NAME_INVALID", problem);
}

/** A caller's own text, short and on one line. */
export function shown(text: string): string {
  const whole = text.length <= LONGEST_SHOWN ? text : `${text.slice(0, LONGEST_SHOWN)}…`;
  return JSON.stringify(whole).slice(1, -1);
}
