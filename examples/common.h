// What the C programs have in common: the command line, the numbers they print, and a picture that needs no library.

#ifndef EXAMPLES_COMMON_H_
#define EXAMPLES_COMMON_H_

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  const char *model, *output;
  int32_t seed, label;  // label: -1 where none is given
  float temperature;
} Options;

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("error: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

static int32_t parse_int(const char *flag, const char *text, long low) {
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno || end == text || *end || value < low || value > INT32_MAX) {
    fail("%s takes a whole number from %ld to %d. Received: %s", flag, low, INT32_MAX, text);
  }
  return (int32_t)value;
}

static float parse_temperature(const char *text) {
  char *end;
  float value = strtof(text, &end);
  if (end == text || *end || !(value >= 0) || isinf(value)) {
    fail("--temperature takes a number from 0 up. Received: %s", text);
  }
  return value;
}

static Options parse_options(int argc, char **argv) {
  Options options = {.output = "sample.ppm", .label = -1, .temperature = 1};
  for (int i = 1; i < argc; ++i) {
    const char *flag = argv[i];
    if (strncmp(flag, "--", 2)) {
      if (options.model) fail("Expected one model. Received: %s and %s", options.model, flag);
      options.model = flag;
      continue;
    }
    const char *value = i + 1 < argc ? argv[++i] : NULL;
    if (!value) fail("Expected a value after %s", flag);
    if (!strcmp(flag, "--seed")) {
      options.seed = parse_int(flag, value, INT32_MIN);
    } else if (!strcmp(flag, "--label")) {
      options.label = parse_int(flag, value, 0);
    } else if (!strcmp(flag, "--temperature")) {
      options.temperature = parse_temperature(value);
    } else if (!strcmp(flag, "--output")) {
      options.output = value;
    } else {
      fail("Unknown flag %s", flag);
    }
  }
  if (!options.model) fail("usage: %s MODEL [--seed 0] [--temperature 1] [--label 3] [--output sample.ppm]", argv[0]);
  return options;
}

// Conditional models have an input "labels", and a default for it would be one class of theirs in disguise.
static void check_label(const Options *options, int conditional) {
  if (conditional && options->label < 0) fail("This model draws by class: it needs --label");
  if (!conditional && options->label >= 0) fail("This model takes no --label");
}

static void print_codes(const char *name, const int32_t *values, int number) {
  printf("%s", name);
  for (int i = 0; i < number; ++i) printf(" %d", values[i]);
  putchar('\n');
}

static void print_latents(const char *name, const float *values, int number) {
  printf("%s", name);
  for (int i = 0; i < number && i < 8; ++i) printf(" %.6f", values[i]);
  puts(number > 8 ? " ..." : "");
}

// A binary PGM (one channel) or PPM (three): a line of text, then a byte a value.
static void write_picture(const char *path, const float *pixels, int height, int width, int channels) {
  if (channels != 1 && channels != 3) fail("Expected an image of 1 or 3 channels. Received: %d", channels);
  FILE *file = fopen(path, "wb");
  if (!file) fail("%s: %s", path, strerror(errno));
  fprintf(file, "P%d %d %d 255\n", channels == 1 ? 5 : 6, width, height);
  for (int i = 0; i < height * width * channels; ++i) fputc((int)lrintf(255 * fminf(fmaxf(pixels[i], 0), 1)), file);
  if (fclose(file)) fail("%s: %s", path, strerror(errno));
}

#endif  // EXAMPLES_COMMON_H_
