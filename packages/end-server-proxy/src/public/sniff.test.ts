import { expect, it } from "vitest";
import { classify } from "./sniff.ts";

it.each([
  ["GET / HT", "a request"],
  ["PROPFIND", "a method longer than what is seen"],
  ["get / HT", "a method in small letters"],
  ["_x / HTT", "a method that begins with a sign"],
  ["1x / HTT", "a method that begins with a digit"],
  ["M-SEARCH", "a method with a hyphen"],
  ["GET\t/ HT", "a tab behind the method"],
  ["GET\v/ HT", "a vertical tab behind the method"],
  ["GET\r/ HT", "a bare carriage return behind the method"],
  ["\r\nGET / ", "an empty line in front"],
  ["\r\n\r\n\r\n\r\n", "empty lines in front, and no more seen"],
  ["\r", "the first byte of an empty line"],
  ["\nGET / H", "a line feed in front"],
  [" GET / H", "a space in front"],
  ["\tGET / H", "a tab in front"],
  ["\fGET / H", "a form feed in front"],
  ["\x1cGET / ", "what some languages call a space in front"],
  ["\xa0GET / ", "a no-break space in front"],
])("%j is taken for a request: %s", (text) => {
  expect(classify(Buffer.from(text, "latin1"), false)).toBe("http");
});

it.each([
  ["SSH-2.0-", "ssh"],
  ["\x16\x03\x01", "tls"],
  ["AMQP\0\0\t\x01", "other"],
  ["\x10\x1c\0\x04MQTT", "other"],
  ["*1\r\n$4\r\n", "other"],
  ["PING\r\n", "other"],
  ['{"id":1}', "other"],
  ["<stream:", "other"],
  ["SSH", undefined],
])("%j is taken for %s", (text, found) => {
  expect(classify(Buffer.from(text, "latin1"), false)).toBe(found);
});
