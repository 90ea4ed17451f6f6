/* Search over what was indexed when the site was built: no server is asked, so that it works from a disk, too. */
;(function () {
  'use strict'
  var box = document.getElementById('search')
  var input = box.querySelector('input')
  var list = document.getElementById('found')
  var root = box.dataset.root
  var index

  box.hidden = false

  function load(then) {
    if (index) return then()
    var script = document.createElement('script')
    script.src = root + 'search-index.js'
    script.onload = function () {
      index = MiniSearch.loadJS(window.tercetSearch.index, window.tercetSearch.options)
      then()
    }
    document.head.append(script)
  }

  function show() {
    load(function () {
      var found = index
        .search(input.value, { prefix: true, fuzzy: 0.1, combineWith: 'AND', boost: { heading: 4, title: 2 } })
        .slice(0, 20)
      list.replaceChildren.apply(list, found.map(entry))
      if (found.length === 0 && input.value !== '') list.append(said('Nothing was found.'))
    })
  }

  function said(text) {
    var item = document.createElement('li')
    item.textContent = text
    return item
  }

  function entry(one) {
    var item = document.createElement('li')
    var link = document.createElement('a')
    link.href = root + one.id
    link.textContent = one.heading
    var where = document.createElement('span')
    where.textContent = one.title + ': ' + one.beginning
    item.append(link, where)
    return item
  }

  input.addEventListener('input', show)
  input.addEventListener('keydown', function (event) {
    if (event.key === 'Escape') list.replaceChildren()
  })
  document.addEventListener('keydown', function (event) {
    if (event.key !== '/' || /^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) return
    event.preventDefault()
    input.focus()
  })
})()
