"""Chinese sentences to put values into, and the words that vary in them. Everything is as a recogniser would give it.

The marks are those of `english_carriers.py`; names in braces are slots of values (`slots.py`) or of the words below. No
word of a number stands beside a slot: where a value ends must be seen from the words alone.
"""

from __future__ import annotations

from typing import Final

from groundup.spoken.form import split_list

WORDS: Final = {
    "person": split_list(
        """
小王, 小李, 老张, 老刘, 陈老师, 王医生, 李经理, 张师傅, 周律师, 我妈, 我爸, 我姐姐, 我弟弟, 我同事, 我邻居,
房东, 班长, 外婆, 表哥, 志强, 晓梅, 建国, 雨桐, 子涵, 阿芳, 林阿姨, 新来的同事, 隔壁的大叔
"""
    ),
    "city": split_list(
        """
北京, 上海, 广州, 深圳, 杭州, 成都, 武汉, 西安, 南京, 苏州, 重庆, 天津, 青岛, 昆明, 大连, 厦门, 长沙,
哈尔滨, 拉萨, 伦敦, 巴黎, 东京
"""
    ),
    "place": split_list(
        """
图书馆, 火车站, 办公室, 酒店, 健身房, 前台, 医院, 面包店, 车库, 市政厅, 博物馆, 邮局, 药店, 学校, 机场,
咖啡馆, 书店, 游泳馆
"""
    ),
    "thing": split_list(
        """
电脑, 蓝色的外套, 蛋糕, 相机, 新沙发, 打印机, 吉他, 帐篷, 自行车, 雨伞, 红色的箱子, 包裹, 洗衣机, 手机,
木头桌子, 备用钥匙, 羽绒服, 咖啡机, 旧钢琴, 电饭锅
"""
    ),
    "paper": split_list(
        """
报告, 合同, 发票, 菜单, 申请表, 传单, 会议纪要, 预算, 价目表, 设计图, 年终总结, 演示文稿
"""
    ),
    "weekday": split_list(
        """
星期一, 星期二, 星期三, 星期四, 星期五, 星期六, 星期天, 周一, 周二, 周四, 周五, 周末, 礼拜三
"""
    ),
}

BEFORE: Final = {
    ".": split_list(
        """
我觉得, 听说, 据我所知, 对了, 其实, 据说, 我记得, {person}说, {person}告诉我, 通知上说, 大家注意, 不好意思,
顺便说一下, 没想到, 别忘了, 看来
"""
    ),
    "!": split_list(
        """
麻烦你, 拜托你, 请你, {person}让你, 不好意思麻烦你, 方便的话请你, 记得, 你一定要
"""
    ),
    "?": split_list(
        """
请问, 你好, 打扰一下, 对了, 不好意思, 想问一下
"""
    ),
}

AFTER: Final = {
    ".": split_list(
        """
没错, 对吧, 你知道的, 不骗你, 真的, 我没记错的话, {person}也知道, 别告诉{person}, 你跟{person}说一声
"""
    ),
    "!": split_list(
        """
谢谢, 好吗, 可以吗, 行吗, 辛苦了, 然后告诉{person}
"""
    ),
    "?": (),
}

CARRIERS: Final = tuple(
    """
= {number}
. 候补名单上还有{count}个人
. 我们卖出了{many}张演唱会门票
. {city}去年接待了{huge}名游客
. 这座城市大约有{huge}人口
. 我们组今天回答了{count}个问题
. 这本书有{count}页而且没有插图
. 早饭前{person}跑了{few}公里
. 这个箱子有{count}公斤重
. 工厂每天生产{many}个瓶子
. 这个视频这周有{huge}次播放
. 这座桥长{count}米
. 到{city}要开{few}个小时
. {person}在这里住了{few}年
. 图书馆有{many}本书
. {city}的体育场能坐{many}人
. {person}每个月挣{pay}
. {thing}要{pay}
! 再订{few}把椅子送到{place}
! 把{paper}打印{count}份
! 在购物清单上加{few}个鸡蛋
! 搬{few}个箱子到{place}
? 你真的看了{count}页吗
? 真的有{many}名学生报名吗
? 还剩{count}个座位吗
. {place}的门禁密码是{code}
. 您的验证码是{code}
. {person}住在{room}号房间
. 我们坐{bus}路公交车去{place}
. 我的订单号是{code}
. {place}的无线网密码是{code}
. {person}的会员号是{code}
. 储物柜的号码是{code}
. 快递的取件码是{code}
! 输入{code}然后按确认键
! 到{room}房间找我
! 坐{bus}路车去{place}
! 把报警密码改成{code}
! 在键盘上输入{code}
? 能帮我查订单{code}吗
? {room}号房间还空着吗
? {bus}路车到{place}吗
= {nth}
. {person}得了{nth}名
. 我们公司在{low_nth}层
. 这是我{low_nth}次打电话问{thing}的事
. 今天是开工的{nth}天
. {person}排在{nth}位
. 这是他们的{low_nth}个结婚纪念日
. {nth}位顾客可以免费喝咖啡
. {city}队现在排名{low_nth}
. {thing}是清单上的{nth}项
. 我们家是左边{small_nth}户
! 翻到{nth}页
! 在{small_nth}个路口左转
! 把{nth}章再读给我听
? 谁是{nth}个到的
? {low_nth}排还有空位吗
? 这是{low_nth}版吗
= {decimal}
. 平均分是{low_decimal}
. 包裹重{decimal}公斤
. 这条河深{low_decimal}米
. {person}跑完全程用了{decimal}秒
. 地震的震级是{low_decimal}
. 这个应用的评分是{low_decimal}
. 文件大小是{decimal}兆
. {city}离这里{decimal}公里
. {weekday}我们走了{decimal}公里
! 把结果乘以{decimal}
! 加{low_decimal}升水
! 把剂量调到{decimal}毫克
? 结果真的是{decimal}吗
? {weekday}下了{low_decimal}厘米的雨吗
= {percent}
. 销售额增长了{percent}
. 大约{percent}的学生及格了
. 电量还有{percent}
. {thing}的折扣是{percent}
. 我们当中只有{percent}的人投了票
. 利率现在是{percent}
. {city}的失业率是{percent}
. {thing}的税率是{percent}
. 水质比以前好了{percent}
! 把音量调到{percent}
! 给{percent}的小费
! 把亮度降到{percent}
? 价格真的降了{percent}吗
? {percent}算是好成绩吗
= {money}
. 这里的咖啡卖{price}
. 去{city}的票是{price}
. {person}欠我{amount}
. 修车花了{amount}
. 房租涨了{amount}
. 他们为医院筹到了{fortune}
. 这套房子卖了{fortune}
. 我收到了{price}的退款
. {thing}降价到{price}了
. 运费另收{price}
. 公司去年亏损{fortune}
. 买{thing}的预算是{amount}
! 给{person}转{amount}
! 在柜台付{price}
! 出{amount}买下{thing}
? 能借我{amount}吗
? {thing}卖{price}是不是太贵了
? 你买{thing}真的花了{amount}吗
= {date}
= {day}
= {year}
. 我的生日是{day}
. {city}的展览{day}开幕
. {person}出生于{date}
. 合同是{date}签的
. 学校{day}放假
. 这座桥建于{any_year}
. 我们{year}搬到了{city}
. 公司成立于{month}
. 保修期到{month}为止
. {year}物价涨得很快
. 驾照有效期到{date}
. 上次更新是在{date}
. 从{day}起我们就没见过面
. 选举定在{date}
. {place}{day}不营业
. 这张照片是{month}拍的
! 订{day}的位子
! 在{date}之前把{paper}寄出
! 取消{day}的预约
? 你{day}有空吗
? {paper}是{day}到期吗
? {date}发生了什么
? {person}{year}住在哪里
= {clear_time}
. 去{city}的火车{any_time}出发
. 跟{person}的会{time}开始
. {place}{time}关门
. 我{time}之前到家
. {city}来的飞机{any_time}降落
. {weekday}{clear_time}我有空
. 医生{time}可以给你看病
. {time}以后没人接电话
. 公交车晚点了{time}才来
. 我们必须在{time}之前退房
. 电影{time}开始
. {person}到的时候已经{any_time}了
! {time}给我回电话
! 明天{time}叫我起床
! 把闹钟定在{any_time}
! {time}去接{person}
! {time}之前到{place}
? 改到{time}见面行吗
? 你{any_time}还没睡吗
? {place}{time}开门吗
= {moment}
. 预约的时间是{moment}
. 去{city}的航班{moment}起飞
. 备份是{moment}做的
. 讲座{moment}开始
. {thing}是{moment}送到的
. 促销从{moment}开始
. {person}{moment}打过电话
! {moment}提醒我交{paper}
! 跟{person}约在{moment}通话
! {moment}到{place}来
? 你{moment}能来吗
? 检查是在{moment}吗
= {phone}
. 我的号码是{phone}
. 你可以打{phone}找{person}
. {place}的电话是{phone}
. 客服热线是{phone}
. 我们办公室的新号码是{phone}
. {person}的手机号是{phone}
! 打{phone}找{person}
! 给{phone}发短信
! 把{phone}存成{person}的号码
! 把{paper}传真到{phone}
? {phone}还是你的号码吗
? 刚才是{phone}打来的吗
. {thing}在{day}之前卖{price}
. 火车{any_time}出发然后{any_time}到站
. {date}{person}付了{amount}
. {low_nth}节课{time}开始
. {room}号房间订给了{few}个人
. 我们{day}请了{count}位客人
. 价格涨了{percent}现在是{price}
. {bus}路公交车{any_time}发车
. {city}队{year}夺冠但是{year}没有
. {place}{weekday}{clear_time}开门但是{weekday}{clear_time}才开
. {day}的会在{room}房间开
. {count}名会员里有{percent}的人同意
. 发票{code}的金额是{amount}还没付
. {person}用了{decimal}秒得了{low_nth}名
. 房租是{amount}押金是{amount}
. 我们的{low_nth}家分店{year}开业
. 人口从{many}增加到{many}
. 现场票卖{price}网上只要{price}
. 利率{percent}的贷款是{date}签的
. 这道菜要{low_decimal}升牛奶和{few}个鸡蛋
. 为了修车站{year}花了{fortune}
. {count}个包裹重{decimal}公斤
! 在{day}之前给{person}转{amount}
! 订{few}个{day}的座位
! 在{time}之前打{phone}
! 先打{phone}再输入{code}
! {time}在{room}房间见{person}
? 花{price}能买{few}张票吗
? 订单{code}是{day}送到吗
? {year}{thing}真的要{amount}吗
. 我有一些问题想问{person}
. {person}说等一下再去{place}
. {weekday}我们一起去{place}
. 万一下雨我们就不去{place}了
. {person}一定会喜欢{thing}
. {person}早饭吃了一个三明治
. 我第一时间告诉了{person}
. {person}是四川人
. 我心里七上八下的
. 店里的东西五花八门
. {person}做事从来不三心二意
. {place}来了十几个人
. 我们在{place}聊了两三个小时
. 买{thing}花了好几百块
. 成千上万的人来到{city}
. {person}一边做饭一边唱歌
. {city}四季如春
. {person}在百货大楼上班
. 这件事千真万确
. 我们差一点就错过了火车
. {person}一点也不累
. 关于{paper}我有几点建议
. 我对{thing}十分满意
. {person}感到万分抱歉
. 我找了半天{thing}
. {person}买了一辆二手车
. {weekday}有一位客人要来
. {person}不管三七二十一就走了
. 房间里乱七八糟
. 这些杯子一模一样
. {person}去三亚度假了
. 五一我们打算去{city}
. 双十一{thing}会便宜很多
. {person}爱吃零食
. 一会儿我去{place}取{thing}
. {person}说一不二
. {person}把{thing}忘在{place}了
. {city}今天天气很好
. {person}{weekday}签了{paper}
. 我跟{person}聊了聊{paper}
! 把{thing}送到{place}
! 问一问{person}{paper}的事
! 给我一点时间找{thing}
! {weekday}把{thing}带到{place}
! 先试试另一个
! 坐下来等一等{person}
? 有人看见{thing}了吗
? 哪一个是{person}的
? 你去过{city}吗
? 这是一家新开的店吗
? {person}看过{paper}了吗
? 你有零钱吗
""".strip().splitlines()
)
