#include "tendril/file.hpp"

#include <unistd.h>

#include "io_tests.hpp"
#include "tendril/offload.hpp"

using tendril::File;

TEST_CASE("a file is written and read, with a position and without") {
  CleanIo clean;
  ScratchDirectory directory;
  const std::string path = directory / "file";
  File file(path, O_RDWR | O_CREAT);
  file.write("hello ");
  file.write("world");
  CHECK(file.position() == 11);
  CHECK(file.size() == 11);
  CHECK(file.read(10) == "");
  file.seek(6);
  CHECK(file.read(2) == "wo");
  CHECK(file.read_all() == "rld");
  file.write_at(0, "J");
  CHECK(file.read_at(0, 5) == "Jello");
  CHECK(file.position() == 11);
  file.truncate(5);
  file.sync();
  CHECK(tendril::read_file(path) == "Jello");
}

TEST_CASE("appending goes to the end") {
  CleanIo clean;
  ScratchDirectory directory;
  tendril::write_file(directory / "log", "one\n");
  File log(directory / "log", O_WRONLY | O_APPEND);
  log.write("two\n");
  CHECK(log.position() == 8);
  CHECK(tendril::read_file(directory / "log") == "one\ntwo\n");
}

TEST_CASE("directories, sizes, files without a size") {
  CleanIo clean;
  ScratchDirectory directory;
  tendril::write_file(directory / "b", "xyz");
  tendril::write_file(directory / "a", "");
  CHECK(tendril::list_directory(directory.path()) == std::vector<std::string>{"a", "b"});
  CHECK(tendril::stat_file(directory / "b").st_size == 3);
  CHECK(tendril::read_file("/proc/self/stat").starts_with(std::to_string(getpid())));
}

TEST_CASE("errors are the kernel's") {
  CleanIo clean;
  CHECK(error_of([] { File("/nonexistent/file"); }) == ENOENT);
  CHECK(error_of([] { tendril::list_directory("/nonexistent"); }) == ENOENT);
  File file("/dev/null", O_RDONLY);
  file.close();
  CHECK(error_of([&] { file.read(1); }) == EBADF);
}

TEST_CASE("a fiber killed while it reads leaves nothing behind") {
  CleanIo clean;
  ScratchDirectory directory;
  tendril::write_file(directory / "file", std::string(1 << 20, 'x'));
  auto reader = tendril::spawn([&] { tendril::read_file(directory / "file"); });
  tendril::yield();
  CHECK(reader.kill(nullptr, std::chrono::seconds(10)));
  tendril::offload([] {});
  // The operation under way owns the file until it has ended: four threads, so ask each.
  for (int i = 0; i < 8; ++i) tendril::read_file(directory / "file");
}
