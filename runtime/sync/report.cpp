#include "runtime/sync/report.hpp"

#include <cxxabi.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "runtime/platform/syscall.hpp"
#include "tendril/errors.hpp"
#include "tendril/hub.hpp"

namespace tendril::detail {
namespace {

std::string type_name(const std::type_info* type) {
  if (type == nullptr) return "an exception";
  int status = 0;
  char* readable = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
  std::string name = readable != nullptr ? readable : type->name();
  std::free(readable);
  return name;
}

std::string describe_exception(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    return type_name(abi::__cxa_current_exception_type()) + ": " + error.what();
  } catch (...) {
    return type_name(abi::__cxa_current_exception_type());
  }
}

}  // namespace

std::string describe_task(const Task& task) {
  std::string text = name_of_task(&task);
  const char* file = task.where.file_name();
  if (const char* slash = std::strrchr(file, '/')) file = slash + 1;
  return text + " (spawned at " + file + ":" + std::to_string(task.where.line()) + ")";
}

namespace {

std::atomic<ErrorHook> error_hook{nullptr};

// `who` may be null.
void report(const std::exception_ptr& exception, const char* what, const Task* who) noexcept {
  try {
    const std::string where = std::string(what) + (who != nullptr ? " " + describe_task(*who) : "");
    if (const ErrorHook hook = error_hook.load()) return hook(exception, where);
    const std::string text =
        "tendril: unhandled exception " + where + ": " + describe_exception(exception) + "\n";
    rt::raw_syscall(SYS_write, 2, text.data(), text.size());
  } catch (...) {
    constexpr char kText[] =
        "tendril: unhandled exception in a fiber (and no memory to say more)\n";
    rt::raw_syscall(SYS_write, 2, kText, sizeof kText - 1);
  }
}

}  // namespace

void report_exception(const std::exception_ptr& exception, const char* what,
                      const Task& task) noexcept {
  report(exception, what, &task);
}

void report_loose_exception(const std::exception_ptr& exception, const char* what) noexcept {
  report(exception, what, nullptr);
}

}  // namespace tendril::detail

namespace tendril {

ErrorHook set_error_hook(ErrorHook hook) noexcept { return detail::error_hook.exchange(hook); }

}  // namespace tendril
