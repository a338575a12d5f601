#include "tendril/wait.hpp"

namespace tendril {

std::vector<size_t> wait(std::vector<Waitable> objects, Duration timeout, size_t count) {
  const detail::TimeLeft left(timeout);
  std::vector<size_t> ready;
  std::vector<detail::SelectItem> items;
  std::vector<size_t> indices;
  for (size_t i = 0; i < objects.size(); ++i) {
    items.push_back(objects[i].item_);
    indices.push_back(i);
  }
  while (!items.empty() && ready.size() < count) {
    const size_t which = detail::select_items(items.data(), items.size(), left.left());
    if (which == items.size()) break;
    const size_t index = indices[which];
    if (objects[index].semaphore_ != nullptr) objects[index].semaphore_->release();
    ready.push_back(index);
    items.erase(items.begin() + static_cast<std::ptrdiff_t>(which));
    indices.erase(indices.begin() + static_cast<std::ptrdiff_t>(which));
  }
  return ready;
}

}  // namespace tendril
