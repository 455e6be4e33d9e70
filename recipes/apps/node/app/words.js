// Words of a text by the rules of its language, and how often each is there.
"use strict";

exports.count = (text) => {
  const counts = {};
  for (const { segment, isWordLike } of new Intl.Segmenter("de", { granularity: "word" }).segment(text)) {
    if (isWordLike) {
      const word = segment.toLocaleLowerCase("de");
      counts[word] = (counts[word] ?? 0) + 1;
    }
  }
  return counts;
};
